// Which node of a Redis Cluster is the primary of which slots. A plain value; pure.
//
// Text for people: "0-5460 at 10.0.0.1:6379, 5461-16383 at 10.0.0.2:6379". As a durable fact, one
// line for each shard, its fields apart by one space:
//
//   <primary's id> <config-epoch> <primary's address> <slot ranges, by commas> [<replica>...]
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/slots.h"
#include "redis/transport.h"

namespace stayd {

struct SlotRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  friend bool operator==(const SlotRange&, const SlotRange&) = default;
};

// "7" or "7-9"; nullopt: anything else.
std::optional<SlotRange> parse_slot_range(std::string_view text);
// "0-5460,7000"; empty for no slot.
std::string slot_ranges_text(const SlotSet& slots);

struct ClusterShard {
  std::string primary_id;
  Endpoint primary;  // not known(): no node knows its address
  std::uint64_t config_epoch = 0;
  SlotSet slots;                   // never none
  std::vector<Endpoint> replicas;  // those that work, by their addresses
  friend bool operator==(const ClusterShard&, const ClusterShard&) = default;
};

struct Topology {
  std::vector<ClusterShard> shards;  // by their lowest slots; no slot is in two
  // Slots whose move was given up just now: their primary may have got back old keys that somebody
  // else held meanwhile. Not part of the durable fact.
  SlotSet returned = {};

  friend bool operator==(const Topology&, const Topology&) = default;
  // The same slots stand together, wherever they are.
  bool same_places(const Topology& other) const;
  // And their primaries are the same nodes at the same addresses.
  bool same_primaries(const Topology& other) const;
  bool same_epochs(const Topology& other) const;
  SlotSet covered() const;
  const ClusterShard* shard_of(std::uint16_t slot) const;  // nullptr: nobody has it
  const ClusterShard* find(std::string_view primary_id) const;

  std::string text() const;
  std::string to_text() const;
  // nullopt: not what to_text() wrote.
  static std::optional<Topology> parse(std::string_view text);
};

}  // namespace stayd
