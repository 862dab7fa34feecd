// What befalls a Redis Cluster: slots that move, and shards that are out.
#include "sim/faults.h"
#include "sim/world.h"

namespace stayd::sim {

// A range goes from one shard to another, in parts; now and then all that a shard has.
bool Faults::move_slots() {
  Servers& servers = world_.servers;
  const std::size_t from = struck();
  const std::size_t to = (from + 1 + random_->below(servers.size() - 1)) % servers.size();
  const bool all = random_->chance(10);
  const auto first = all ? 0 : random_->below(kSlots);
  const auto length = all ? kSlots : between(1, kSlots);
  const auto steps = 1 + random_->below(4);
  const std::int64_t pause_us = between(100, 10 * kMs);
  SlotSet range;
  for (std::int64_t i = 0; i < length; ++i) {
    range.set((first + static_cast<std::uint64_t>(i)) % kSlots);
  }
  if (!servers.move_slots(from, to, range, steps, pause_us)) return false;
  moved_from_ = from;
  moved_to_ = to;
  note("slots " + slot_ranges(range) + " move from " + name_of(from) + " to " + name_of(to));
  return true;
}

// While slots move, or shortly after.
bool Faults::move_slots_and_strike() {
  if (!move_slots()) return false;
  const std::size_t from = moved_from_, to = moved_to_;
  Instance& one = victim();
  later(between(kMs, 3 * kSecond), [this, from, to, &one] {
    const auto what = random_->below(6);
    if (what == 0) kill(one);
    if (what == 1) fail_over(from);
    if (what == 2) fail_over(to);
    if (what == 3) restart_redis(from);
    if (what == 4) restart_redis(to);
    if (what == 5) cut_power_of(one);
  });
  return true;
}

// For longer than a restart takes.
bool Faults::lose_shard() {
  const std::size_t shard = struck();
  if (!world_.servers[shard].listening()) return false;
  note(name_of(shard) + " is out");
  world_.servers[shard].kill();
  const auto how = adopted() ? random_->below(4) : 1;
  later(between(5 * kSecond, 25 * kSecond), [this, shard, how] {
    if (!world_.servers[shard].listening()) bring_back(shard, adopted() ? how : 1);
  });
  return true;
}

}  // namespace stayd::sim
