// What befalls stayd's process and its host: kill, pause, disk, power, clock.
#include "sim/faults.h"
#include "sim/world.h"

namespace stayd::sim {

namespace {

constexpr std::int64_t kDiskLagUs = 100 * kMs;  // an error may be told this much later

}  // namespace

bool Faults::kill_stayd() {
  if (!world_.instance.alive()) return false;
  world_.kill_stayd();
  later(between(kMs, 4 * kSecond), [this] {
    if (!world_.instance.alive()) world_.instance.start();
  });
  return true;
}

bool Faults::pause_stayd() {
  if (!world_.instance.alive() || world_.instance.paused()) return false;
  world_.instance.pause(between(10 * kMs, 6 * kSecond));
  return true;
}

bool Faults::slow_disk() {
  note("the disk is slow");
  world_.instance.disk().max_delay_us = between(kMs, 60 * kMs);
  world_.instance.disk().max_sync_us = between(kMs, 100 * kMs);
  const std::int64_t lasts_us = between(100 * kMs, 5 * kSecond);
  world_.users.note_slow(lasts_us);
  later(lasts_us, [this] { world_.instance.disk().be_fast(); });
  return true;
}

// An operator asks for it: until it has ended, an outage has UNKNOWN again.
bool Faults::repeat_backfill() {
  if (!world_.instance.alive() || world_.instance.paused()) return false;
  note("the backfill starts over");
  world_.instance.restart_adoption();
  return true;
}

// R12: stayd stands still for longer than the heartbeat's gap; meanwhile a proxy in front of Redis
// has moved to a server that lacks the last seconds, and has kept the connections.
bool Faults::fail_over_in_a_pause() {
  if (!adopted() || !world_.redis.listening() || world_.instance.paused()) return false;
  world_.instance.pause(3500 * kMs + between(0, 2 * kSecond));
  later(between(kSecond, 3 * kSecond), [this] {
    RedisModel& redis = world_.redis;
    if (!redis.listening() || !adopted() || !world_.instance.paused()) return;
    note("a proxy moves to another Redis");
    redis.fail_over(redis.changes_since(world_.scheduler.now_us() - between(0, 5 * kSecond)));
  });
  return true;
}

// Redis is lost, and something again while stayd brings it up to date.
bool Faults::strike_twice() {
  if (!restart_redis()) return false;
  await_reconcile(0);
  return true;
}

void Faults::await_reconcile(int looked) {
  if (looked > 20'000) return;
  later(kMs / 2, [this, looked] {
    const Instance& instance = world_.instance;
    if (!instance.alive() || instance.status().shard.trust != Trust::suspect) {
      return await_reconcile(looked + 1);
    }
    later(between(0, 8 * kMs), [this] {
      const auto what = random_->below(3);
      if (what == 0) restart_redis();
      if (what == 1) lose_connection();
      if (what == 2) kill_stayd();
    });
  });
}

// stayd is killed while its disk is slow: much has been done in one place and not in the other.
bool Faults::die_slowly() {
  if (!world_.instance.alive()) return false;
  slow_disk();
  later(between(20 * kMs, kSecond), [this] { kill_stayd(); });
  return true;
}

// A disk that says it has synced and has not shows it when the power goes.
bool Faults::cut_power(bool lying_disk) {
  Disk& disk = world_.instance.disk();
  if (!lying_disk) {
    if (!world_.instance.alive()) return false;
    world_.cut_power();
    later(between(100 * kMs, 4 * kSecond), [this] {
      if (!world_.instance.alive()) world_.instance.start();
    });
    return true;
  }
  if (disk.lies) return false;
  note("the disk lies");
  disk.lies = true;
  later(between(kSecond, 10 * kSecond), [this] {
    cut_power(false);
    world_.instance.disk().lies = false;
  });
  return true;
}

bool Faults::fail_disk(FaultyStore::Operation operation) {
  const bool writes = operation == FaultyStore::Operation::apply;
  bool& failing = writes ? unwritable_ : unreadable_;
  if (failing) return false;
  note(writes ? "the disk is full" : "the disk cannot be read");
  failing = true;
  renew_disk_faults();
  const std::int64_t lasts_us = between(50 * kMs, 5 * kSecond);
  const auto excuse = writes ? Users::Excuse::unwritable : Users::Excuse::unreadable;
  world_.users.excuse(excuse, lasts_us + kDiskLagUs);
  later(lasts_us, [this, writes] {
    note(writes ? "the disk has room" : "the disk can be read");
    (writes ? unwritable_ : unreadable_) = false;
    renew_disk_faults();
  });
  return true;
}

void Faults::renew_disk_faults() {
  using Operation = FaultyStore::Operation;
  FaultyStore& store = world_.instance.disk().faults();
  store.heal();
  const FaultyStore::Fault full{.error = {Errc::no_space, "no space left on device"},
                                .times = UINT64_MAX};
  const FaultyStore::Fault broken{.error = {Errc::io, "input/output error"}, .times = UINT64_MAX};
  if (unwritable_) store.inject(Operation::apply, full);
  if (!unreadable_) return;
  for (const auto operation : {Operation::load, Operation::load_meta, Operation::scan}) {
    store.inject(operation, broken);
  }
}

bool Faults::flip_bit() {
  Disk& disk = world_.instance.disk();
  if (disk.rows().empty()) return false;
  auto it = disk.rows().begin();
  std::advance(it, static_cast<std::ptrdiff_t>(random_->below(disk.rows().size())));
  note("a bit flips in the row of " + std::string(key_of(it->first)));
  disk.flip_bit(it->first);
  return true;
}

bool Faults::jump_clock() {
  const auto offset_ms = static_cast<std::int64_t>(random_->below(2 * kMaxSkewMs)) - kMaxSkewMs;
  const bool of_redis = random_->chance(50);
  note(std::string(of_redis ? "Redis' clock" : "stayd's clock") + " is off by " +
       std::to_string(offset_ms) + " ms");
  if (of_redis) {
    world_.redis.clock_offset_ms = offset_ms;
  } else {
    world_.instance.set_clock(offset_ms);
  }
  return true;
}

}  // namespace stayd::sim
