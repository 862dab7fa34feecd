// Which keys a shard's memory holds: everything, of a standalone Redis, or the slots that one
// primary of a Redis Cluster has (docs/adr/0012). Its version rises whenever it grows; the
// heartbeat says for which version it vouches (canary.h). A plain value.
#pragma once

#include <charconv>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/slots.h"

namespace stayd {

class ShardPlace {
 public:
  ShardPlace() = default;  // everything
  // `id`: durable, of the shard; two shards of one ledger never have the same. `version` >= 1.
  ShardPlace(std::string id, const SlotSet& slots, std::uint64_t version)
      : slots_(std::make_shared<const SlotSet>(slots)), id_(std::move(id)), version_(version) {
    int highest = kSlots - 1;  // resharding begins with the lowest
    while (highest > 0 && !slots[static_cast<std::size_t>(highest)]) --highest;
    tag_ = tag_of(static_cast<Slot>(highest));
  }

  bool everything() const { return slots_ == nullptr; }
  bool owns(std::string_view key) const { return slots_ == nullptr || (*slots_)[slot_of(key)]; }
  // For the ledger's scans; nullptr: everything.
  const std::shared_ptr<const SlotSet>& slots() const { return slots_; }
  const std::string& id() const { return id_; }
  std::uint64_t version() const { return version_; }  // 0: everything

  // Trust epochs of shards differ: rows keep theirs when their slot moves.
  std::uint32_t first_epoch() const {
    std::uint32_t number = 0;
    std::from_chars(id_.data(), id_.data() + id_.size(), number);
    return number << 20;
  }

  // Hash tags of side keys: of those that concern the whole memory, and of those beside a key.
  std::string_view tag() const { return tag_; }
  std::string_view tag_beside(std::string_view key) const {
    return slots_ == nullptr ? std::string_view() : tag_of(slot_of(key));
  }

 private:
  std::shared_ptr<const SlotSet> slots_;
  std::string id_;
  std::string tag_;
  std::uint64_t version_ = 0;
};

}  // namespace stayd
