// World: what is lost, and what a window leaves open of it (docs/failure_modes.md).
#include <algorithm>
#include <array>

#include "sim/world.h"

namespace stayd::sim {

// A key that changed its shard while both were scanned is known once they are scanned again. Until
// then, and no longer, there may be such.
void World::lose_keys(std::size_t shard, const std::function<void()>& how) {
  const auto settled = [](const auto& one) { return one->settled(); };
  std::vector<std::pair<FullKey, Record>> unknown;
  if (!std::ranges::all_of(instances, settled)) {
    for (const auto& [key, record] : servers[shard].data()) {
      const bool known = users.home(key).disk().rows().contains(key);
      if (!known && users.histories().contains(key)) unknown.emplace_back(key, record);
    }
  }
  how();
  for (const auto& [key, record] : unknown) {
    const auto held = servers[shard].data().find(key);
    if (held != servers[shard].data().end() && held->second == record) continue;
    users.loosen(key, "W7: lost before stayd knew of it");
  }
}

// What the disk loses is W5: of these keys Redis may hold, and show, what the ledger does not know;
// and of those whose commands were under way.
void World::cut_power(Instance& one) {
  users.not_compared.merge(users.loosen_under_way(one, "W5: under way when the power was cut"));
  kill_stayd(one);
  one.note("-- the power is cut");
  // What an earlier kill left there, and nobody has read back yet.
  for (const auto& leftover : one.disk().in_flight().leftovers()) {
    for (const FullKey& key : leftover.keys) {
      users.loosen(key, "W5: left by a kill before the power was cut");
      users.not_compared.insert(key);
    }
  }
  const std::set<FullKey> buried = acknowledged_tombs(one);
  ends_lost_[&one].set();
  filled_anew_[&one].reset();  // once more, or not
  for (const FullKey& key : one.disk().lose_power()) {
    users.loosen(key, "W5: lost with the power");
    users.not_compared.insert(key);
  }
  if (!one.disk().lies) check_logouts_of_power_cut(one, buried);
}

// Which Redis a stayd speaks of: "Redis redis:7000 is trusted".
std::string World::address_in(const Event& event) const {
  for (const auto& [name, value] : event.fields) {
    if (name == "redis") return value;
  }
  const std::string_view text = event.text;
  const auto at = text.find(' ') + 1;
  return std::string(text.substr(at, text.find(' ', at) - at));
}

// Which slots it takes that one to have; the Cluster may have moved them since.
SlotSet World::slots_of(const Instance& one, const Event& event) const {
  if (!servers.cluster()) return SlotSet().set();
  for (const auto& [name, value] : event.fields) {
    if (name == "slots") return parse_slot_ranges(value).value();
  }
  const std::string address = address_in(event);
  SlotSet slots;
  for (const NamedShard& shard : one.status().shards) {
    if (shard.status.address == address) slots |= parse_slot_ranges(shard.slots).value();
  }
  return slots;
}

// The ledger starts anew from what Redis holds: where they differ, what the ledger knew is lost,
// and nowhere else. From then on they are equal again.
void World::on_event(const Instance& one, const Event& event) {
  if (event.name == "shard_trusted") {
    // Killed before, it does so again.
    ends_lost_[&one] &= ~(filled_anew_[&one] & slots_of(one, event));
    check_position(one, event);
  }
  static constexpr std::array kNoTrust = {"shard_out", "shard_suspect", "no_memory",
                                          "writes_refused", "shared_unsafe_over"};
  if (std::ranges::find(kNoTrust, event.name) != kNoTrust.end()) {
    users.loosen_roaming("W16: " + std::string(event.name));
  }
  if (event.name != "redis_is_truth") return;
  const SlotSet slots = slots_of(one, event);
  if ((ends_lost_[&one] & slots).none()) {
    users.fail({}, "the ledger is taken for lost, and is not");
  }
  filled_anew_[&one] |= slots;
  truth_us = scheduler.now_us();
  const std::string_view why = "W6: Redis is the truth";
  const auto here = [&](const FullKey& key) {
    return &users.home(key) == &one && slots[slot_of(key_of(key))];
  };
  users.loosen_under_way(one, why);
  for (const auto& [key, history] : users.histories()) {
    if (here(key) && (!equal_in_redis(key) || history.may_be_fenced())) users.loosen(key, why);
  }
  std::erase_if(users.not_compared, here);
}

}  // namespace stayd::sim
