// What befalls stayd's process and its host: kill, pause, disk, power, clock.
#include <algorithm>

#include "sim/faults.h"
#include "sim/world.h"

namespace stayd::sim {

namespace {

constexpr std::int64_t kDiskLagUs = 100 * kMs;  // an error may be told this much later

}  // namespace

bool Faults::kill(Instance& one) {
  if (!one.alive()) return false;
  world_.kill_stayd(one);
  later(between(kMs, 4 * kSecond), [&one] {
    if (!one.alive()) one.start();
  });
  return true;
}

bool Faults::kill_stayd() {
  return kill(victim());
}

bool Faults::pause_stayd() {
  Instance& one = victim();
  if (!one.alive() || one.paused()) return false;
  one.pause(between(10 * kMs, 6 * kSecond));
  return true;
}

bool Faults::slow_disk() {
  slow_disk_of(victim());
  return true;
}

void Faults::slow_disk_of(Instance& one) {
  one.note("-- the disk is slow");
  one.disk().max_delay_us = between(kMs, 60 * kMs);
  one.disk().max_sync_us = between(kMs, 100 * kMs);
  const std::int64_t lasts_us = between(100 * kMs, 5 * kSecond);
  one.allow_slowness(lasts_us);
  later(lasts_us, [&one] { one.disk().be_fast(); });
}

// An operator asks for it: until it has ended, an outage has UNKNOWN again.
bool Faults::repeat_backfill() {
  Instance& one = victim();
  if (!one.alive() || one.paused()) return false;
  one.note("-- the backfill starts over");
  one.restart_adoption();
  return true;
}

// R12: stayd stands still for longer than the heartbeat's gap; meanwhile a proxy in front of Redis
// has moved to a server that lacks the last seconds, and has kept the connections. Several stayds
// all stand still: one that does not sees it by its heartbeat (W4).
bool Faults::fail_over_in_a_pause() {
  const auto& all = world_.instances;
  const auto paused = [](const auto& one) { return one->paused(); };
  const std::size_t shard = struck();
  if (!adopted() || !world_.servers[shard].listening() || std::ranges::any_of(all, paused))
    return false;
  const std::int64_t lasts_us = 3500 * kMs + between(0, 2 * kSecond);
  for (const auto& one : all) one->pause(lasts_us);
  const std::int64_t until_us = world_.scheduler.now_us() + lasts_us;
  later(between(kSecond, 3 * kSecond), [this, shard, until_us] {
    RedisModel& redis = world_.servers[shard];
    if (!redis.listening() || !adopted()) return;
    // A kill may have ended the pause, and a short one may have begun.
    const auto still = [until_us](const auto& one) { return one->paused_until_us() == until_us; };
    if (!std::ranges::all_of(world_.instances, still)) return;
    note_loss("a proxy moves to another Redis");
    const std::int64_t lag_us = between(0, 5 * kSecond);
    const std::int64_t seen_us = std::max(world_.scheduler.now_us() - lag_us, world_.truth_us);
    world_.lose_keys(shard, [&] { redis.fail_over(redis.changes_since(seen_us)); });
  });
  return true;
}

// Redis is lost, and something again while stayd brings it up to date.
bool Faults::strike_twice() {
  const std::size_t shard = struck();
  if (!restart_redis(shard)) return false;
  await_reconcile(0, victim(), shard);
  return true;
}

void Faults::await_reconcile(int looked, Instance& one, std::size_t shard) {
  if (looked > 20'000) return;
  later(kMs / 2, [this, looked, &one, shard] {
    if (!one.alive() || one.trust(shard) != Trust::suspect) {
      return await_reconcile(looked + 1, one, shard);
    }
    later(between(0, 8 * kMs), [this, &one, shard] {
      const auto what = random_->below(3);
      if (what == 0) restart_redis(shard);
      if (what == 1) lose_connection();
      if (what == 2) kill(one);
    });
  });
}

// stayd is killed while its disk is slow: much has been done in one place and not in the other.
bool Faults::die_slowly() {
  Instance& one = victim();
  if (!one.alive()) return false;
  slow_disk_of(one);
  later(between(20 * kMs, kSecond), [this, &one] { kill(one); });
  return true;
}

bool Faults::cut_power_of(Instance& one) {
  if (!one.alive()) return false;
  world_.cut_power(one);
  later(between(100 * kMs, 4 * kSecond), [&one] {
    if (!one.alive()) one.start();
  });
  return true;
}

bool Faults::cut_power() {
  return cut_power_of(victim());
}

// A disk that says it has synced and has not shows it when the power goes.
bool Faults::lie_about_syncs() {
  Instance& one = victim();
  if (one.disk().lies) return false;
  one.note("-- the disk lies");
  one.disk().lies = true;
  later(between(kSecond, 10 * kSecond), [this, &one] {
    cut_power_of(one);
    one.disk().lies = false;
  });
  return true;
}

bool Faults::fail_disk(FaultyStore::Operation operation) {
  const bool writes = operation == FaultyStore::Operation::apply;
  Instance& one = victim();
  if (one.disk().fails(operation)) return false;
  one.note(writes ? "-- the disk is full" : "-- the disk cannot be read");
  one.disk().fail(operation, true);
  const std::int64_t lasts_us = between(50 * kMs, 5 * kSecond);
  one.excuse(writes ? Excuse::unwritable : Excuse::unreadable, lasts_us + kDiskLagUs);
  later(lasts_us, [&one, operation, writes] {
    one.note(writes ? "-- the disk has room" : "-- the disk can be read");
    one.disk().fail(operation, false);
  });
  return true;
}

bool Faults::flip_bit() {
  Instance& one = victim();
  Disk& disk = one.disk();
  if (disk.rows().empty()) return false;
  auto it = disk.rows().begin();
  std::advance(it, static_cast<std::ptrdiff_t>(random_->below(disk.rows().size())));
  one.note("-- a bit flips in the row of " + std::string(key_of(it->first)));
  disk.flip_bit(it->first);
  return true;
}

bool Faults::jump_clock() {
  const auto offset_ms = static_cast<std::int64_t>(random_->below(2 * kMaxSkewMs)) - kMaxSkewMs;
  const bool of_redis = random_->chance(50);
  const std::string off = " is off by " + std::to_string(offset_ms) + " ms";
  if (of_redis) {
    const std::size_t shard = struck();
    note(name_of(shard) + (world_.servers.cluster() ? "'s clock" : "' clock") + off);
    world_.servers[shard].clock_offset_ms = offset_ms;
  } else {
    Instance& one = victim();
    one.note("-- stayd's clock" + off);
    one.set_clock(offset_ms);
  }
  return true;
}

}  // namespace stayd::sim
