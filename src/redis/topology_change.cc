#include "redis/topology_change.h"

#include <algorithm>
#include <cstddef>

namespace stayd {

namespace {

constexpr std::size_t kMaxRanges = 120;
constexpr std::size_t kMaxText = 600;

std::string cut(std::string text, std::size_t max) {
  if (text.size() <= max) return text;
  const std::size_t end = text.rfind(',', max);
  text.resize(end == std::string::npos ? max : end);
  return text + ", ...";
}

std::string ranges(const SlotSet& slots) {
  return cut(slot_ranges_text(slots), kMaxRanges);
}

void append(std::string& out, const std::string& part) {
  if (!out.empty()) out += ", ";
  out += part;
}

// What came to a shard, and from where.
void append_arrivals(std::string& out, const Topology& before, const ClusterShard& after) {
  for (const ClusterShard& from : before.shards) {
    const bool same_node = from.primary_id == after.primary_id;
    const bool same_address = from.primary == after.primary;
    const SlotSet slots = from.slots & after.slots;
    if (slots.none() || (same_node && same_address)) continue;
    std::string to = same_address ? "another node there" : after.primary.text();
    to += same_node ? " with their node" : " (epoch " + std::to_string(after.config_epoch) + ")";
    append(out, ranges(slots) + " moved from " + from.primary.text() + " to " + to);
  }
}

}  // namespace

std::string shortened(std::string text) {
  return cut(std::move(text), kMaxText);
}

std::string change_text(const Topology& before, const Topology& after) {
  std::string out;
  const SlotSet covered_before = before.covered();
  for (const ClusterShard& shard : after.shards) {
    const ClusterShard* same = before.find(shard.primary_id);
    if (same != nullptr && same->slots == shard.slots && same->primary == shard.primary) continue;
    append_arrivals(out, before, shard);
    const SlotSet gained = shard.slots & ~covered_before;
    if (gained.any()) append(out, ranges(gained) + " given to " + shard.primary.text());
  }
  const SlotSet dropped = covered_before & ~after.covered();
  if (dropped.any()) append(out, ranges(dropped) + " dropped");
  if (after.returned.any()) append(out, "the move of " + ranges(after.returned) + " given up");
  return shortened(std::move(out));
}

std::size_t switches_between(const Topology& before, const Topology& after) {
  std::size_t switches = 0;
  for (const ClusterShard& shard : after.shards) {
    if (before.find(shard.primary_id) != nullptr) continue;
    const auto common = [&](const ClusterShard& old) { return (old.slots & shard.slots).count(); };
    const auto most = std::ranges::max_element(before.shards, {}, common);
    if (most == before.shards.end() || common(*most) == 0) continue;
    if (after.find(most->primary_id) == nullptr) ++switches;
  }
  return switches;
}

}  // namespace stayd
