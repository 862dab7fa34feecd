#include "redis/topology.h"

#include <algorithm>
#include <charconv>

namespace stayd {

namespace {

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number value = 0;
  const auto end = text.data() + text.size();
  const auto [stop, ec] = std::from_chars(text.data(), end, value);
  if (ec != std::errc{} || stop != end) return std::nullopt;
  return value;
}

// What stands before the separator, which is taken off with it; all, without one.
std::string_view take(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

std::optional<Endpoint> endpoint_of(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = number_of<std::uint16_t>(text.substr(colon + 1));
  if (!port) return std::nullopt;
  return Endpoint{std::string(text.substr(0, colon)), *port, ""};
}

std::optional<SlotSet> slots_of(std::string_view text) {
  SlotSet slots;
  while (!text.empty()) {
    const auto range = parse_slot_range(take(text, ','));
    if (!range) return std::nullopt;
    for (int slot = range->first; slot <= range->last; ++slot) slots.set(slot);
  }
  return slots;
}

std::optional<ClusterShard> shard_in(std::string_view line) {
  ClusterShard shard;
  shard.primary_id = take(line, ' ');
  const auto epoch = number_of<std::uint64_t>(take(line, ' '));
  const auto primary = endpoint_of(take(line, ' '));
  const auto slots = slots_of(take(line, ' '));
  if (!epoch || !primary || !slots) return std::nullopt;
  shard.config_epoch = *epoch;
  shard.primary = *primary;
  shard.slots = *slots;
  while (!line.empty()) {
    const auto replica = endpoint_of(take(line, ' '));
    if (!replica) return std::nullopt;
    shard.replicas.push_back(*replica);
  }
  return shard;
}

}  // namespace

std::optional<SlotRange> parse_slot_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = number_of<std::uint16_t>(text.substr(0, dash));
  const auto last =
      dash == std::string_view::npos ? first : number_of<std::uint16_t>(text.substr(dash + 1));
  if (!first || !last || *first > *last || *last >= kSlots) return std::nullopt;
  return SlotRange{*first, *last};
}

std::string slot_ranges_text(const SlotSet& slots) {
  std::string out;
  for (int slot = 0; slot < kSlots; ++slot) {
    if (!slots.test(slot)) continue;
    const int first = slot;
    while (slot + 1 < kSlots && slots.test(slot + 1)) ++slot;
    if (!out.empty()) out += ',';
    out += std::to_string(first);
    if (slot != first) out += "-" + std::to_string(slot);
  }
  return out;
}

bool Topology::same_places(const Topology& other) const {
  return std::ranges::equal(shards, other.shards, {}, &ClusterShard::slots, &ClusterShard::slots);
}

bool Topology::same_primaries(const Topology& other) const {
  return std::ranges::equal(shards, other.shards, [](const ClusterShard& a, const ClusterShard& b) {
    return a.primary_id == b.primary_id && a.primary == b.primary && a.slots == b.slots;
  });
}

bool Topology::same_epochs(const Topology& other) const {
  return std::ranges::equal(shards, other.shards, {}, &ClusterShard::config_epoch,
                            &ClusterShard::config_epoch);
}

SlotSet Topology::covered() const {
  SlotSet out;
  for (const ClusterShard& shard : shards) out |= shard.slots;
  return out;
}

const ClusterShard* Topology::shard_of(std::uint16_t slot) const {
  const auto it = std::ranges::find_if(
      shards, [&](const ClusterShard& shard) { return shard.slots.test(slot); });
  return it == shards.end() ? nullptr : &*it;
}

const ClusterShard* Topology::find(std::string_view primary_id) const {
  const auto it = std::ranges::find(shards, primary_id, &ClusterShard::primary_id);
  return it == shards.end() ? nullptr : &*it;
}

std::string Topology::text() const {
  std::string out;
  for (const ClusterShard& shard : shards) {
    if (!out.empty()) out += ", ";
    out += slot_ranges_text(shard.slots) + " at " + shard.primary.text();
  }
  return out;
}

std::string Topology::to_text() const {
  std::string out;
  for (const ClusterShard& shard : shards) {
    out += shard.primary_id + " " + std::to_string(shard.config_epoch) + " " +
           shard.primary.text() + " " + slot_ranges_text(shard.slots);
    for (const Endpoint& replica : shard.replicas) out += " " + replica.text();
    out += '\n';
  }
  return out;
}

std::optional<Topology> Topology::parse(std::string_view text) {
  Topology out;
  SlotSet taken;
  std::string_view rest = text;
  while (!rest.empty()) {
    auto shard = shard_in(take(rest, '\n'));
    if (!shard || shard->slots.none() || (shard->slots & taken).any()) return std::nullopt;
    taken |= shard->slots;
    out.shards.push_back(std::move(*shard));
  }
  const auto by_lowest = [](const ClusterShard& a, const ClusterShard& b) {
    return a.slots._Find_first() < b.slots._Find_first();
  };
  if (!std::ranges::is_sorted(out.shards, by_lowest) || out.to_text() != text) return std::nullopt;
  return out;
}

}  // namespace stayd
