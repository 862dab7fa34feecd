// Which keys a shard's memory holds: everything, of a standalone Redis, or the slots that one
// primary of a Redis Cluster has (docs/adr/0012). Its version counts the times it has grown; the
// heartbeat says for which version it vouches (canary.h). A plain value.
#pragma once

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
    int lowest = 0;
    while (lowest + 1 < kSlots && !slots[static_cast<std::size_t>(lowest)]) ++lowest;
    tag_ = tag_of(static_cast<Slot>(lowest));
  }

  bool everything() const { return slots_ == nullptr; }
  bool owns(std::string_view key) const {
    return slots_ == nullptr || (*slots_)[slot_of(key)];
  }
  // For the ledger's scans; nullptr: everything.
  const std::shared_ptr<const SlotSet>& slots() const { return slots_; }
  const std::string& id() const { return id_; }
  std::uint64_t version() const { return version_; }  // 0: everything

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
