// What befalls a Redis: restarts, failovers, refusals, evictions, slowness.
#include <algorithm>
#include <array>

#include "sim/faults.h"
#include "sim/world.h"

namespace stayd::sim {

namespace {

const char* says(bool ServerFlags::* flag) {
  if (flag == &ServerFlags::loading) return " is loading";
  if (flag == &ServerFlags::busy) return " is busy";
  if (flag == &ServerFlags::no_memory) return " has no memory";
  if (flag == &ServerFlags::misconf) return " cannot persist";
  if (flag == &ServerFlags::no_replicas) return " lacks replicas";
  if (flag == &ServerFlags::master_down) return " is a replica without its primary";
  if (flag == &ServerFlags::try_again) return " is resharding";
  if (flag == &ServerFlags::no_auth) return " wants a password";
  if (flag == &ServerFlags::full) return " takes no more clients";
  return " is a replica";
}

}  // namespace

bool Faults::restart_redis() {
  return restart_redis(struck());
}

bool Faults::restart_redis(std::size_t shard) {
  if (!world_.servers[shard].listening()) return false;
  note(name_of(shard) + " is killed");
  world_.servers[shard].kill();
  const auto how = adopted() ? random_->below(4) : 1;
  later(between(10 * kMs, 10 * kSecond), [this, shard, how] {
    if (world_.servers[shard].listening()) return;
    bring_back(shard, adopted() ? how : 1);  // a ledger that has started anew is not adopted yet
  });
  return true;
}

void Faults::bring_back(std::size_t shard, std::uint64_t how) {
  RedisModel& redis = world_.servers[shard];
  world_.lose_keys(shard, [&] { start_redis(shard, how); });
  if (random_->chance(30)) {
    redis.flags.loading = true;
    later(between(50 * kMs, 3 * kSecond), [&redis] { redis.flags.loading = false; });
  }
}

void Faults::start_redis(std::size_t shard, std::uint64_t how) {
  RedisModel& redis = world_.servers[shard];
  if (how == 0) {
    note_loss(name_of(shard) + " starts empty");
    redis.start_empty();
  } else if (how == 1) {
    note(name_of(shard) + " starts with everything");
    redis.start(0);
  } else if (how == 2) {
    note_loss(name_of(shard) + " starts without its last changes");
    redis.start(std::min<std::size_t>(random_->below(20), redis.changes_since(world_.truth_us)));
  } else {
    note_loss(name_of(shard) + " starts from an old snapshot");
    const std::int64_t when_us = world_.scheduler.now_us() - between(kSecond, 60 * kSecond);
    redis.start(redis.changes_since(std::max(when_us, world_.truth_us)));
  }
}

// A replica that lags behind takes over, at the same address or, where somebody tells of it, at
// another: of a dead primary, or there are two of them for a while.
bool Faults::fail_over() {
  if (Sentinels* sentinels = world_.servers.sentinels()) {
    return adopted() && sentinels->fail_over();
  }
  return fail_over(struck());
}

bool Faults::fail_over(std::size_t shard) {
  if (!adopted()) return false;
  if (RedisModel* before = world_.servers.deposed(shard)) before->kill();
  const std::int64_t lag_us = random_->chance(40) ? 0 : between(kMs, 5 * kSecond);
  depose(take_place(shard, world_.scheduler.now_us() - lag_us));
  return true;
}

// With what it has seen by then. Returned: the primary of before.
RedisModel& Faults::take_place(std::size_t shard, std::int64_t seen_us) {
  seen_us = std::max(seen_us, world_.truth_us);
  note_loss("a replica" + (world_.servers.cluster() ? " of " + name_of(shard) : "") +
            " takes over, " + std::to_string((world_.scheduler.now_us() - seen_us) / kMs) +
            " ms behind");
  const std::size_t behind = world_.servers[shard].changes_since(seen_us);
  RedisModel* old = nullptr;
  world_.lose_keys(shard, [&] { old = &world_.servers.promote(shard, behind); });
  return *old;
}

void Faults::depose(RedisModel& old) {
  const auto how = random_->below(3);
  if (how == 0) return old.kill();
  // A name moves late, and old answers are kept for a while.
  const bool long_lived = world_.servers.names() != nullptr && random_->chance(30);
  const std::int64_t until_us = long_lived ? static_cast<std::int64_t>(random_->below(90 * kSecond))
                                           : between(10 * kMs, 10 * kSecond);
  later(until_us, [this, &old, how] {
    note(how == 1 ? "the old primary dies" : "the old primary becomes a replica");
    if (how == 1) return old.kill();
    old.flags.replica = true;
    if (old.place) old.place->own.reset();
    later(between(kMs, 3 * kSecond), [&old] { old.kill(); });
  });
}

bool Faults::freeze_redis() {
  const std::size_t shard = struck();
  RedisModel& redis = world_.servers[shard];
  if (!redis.listening() || redis.flags.frozen) return false;
  note(name_of(shard) + " is frozen");
  redis.freeze();
  later(between(20 * kMs, 8 * kSecond), [this, shard, &redis] {
    if (redis.flags.frozen) note(name_of(shard) + " is thawed");
    redis.thaw();
  });
  return true;
}

bool Faults::refuse(bool ServerFlags::* flag) {
  const std::size_t shard = struck();
  RedisModel& redis = world_.servers[shard];
  if (!redis.listening()) return false;
  note(name_of(shard) + says(flag));
  redis.flags.*flag = true;
  later(between(50 * kMs, 8 * kSecond), [this, shard, &redis, flag] {
    note(name_of(shard) + " no longer refuses");
    redis.flags.*flag = false;
  });
  return true;
}

// What Redis loses before stayd has heard of it is lost.
bool Faults::adopted() const {
  bool any_alive = false;
  for (const auto& one : world_.instances) {
    if (!one->adopted()) return false;
    any_alive = any_alive || one->alive();
  }
  return any_alive;
}

bool Faults::evict() {
  const std::size_t shard = struck();
  RedisModel& redis = world_.servers[shard];
  if (!adopted() || !redis.listening()) return false;
  note("keys are evicted");
  world_.lose_keys(shard, [&] { redis.evict(1 + random_->below(20)); });
  return true;
}

bool Faults::flush() {
  const std::size_t shard = struck();
  RedisModel& redis = world_.servers[shard];
  if (!redis.listening() || !adopted()) return false;
  note_loss("somebody else sends FLUSHALL");
  world_.lose_keys(shard, [&] { redis.flush_all(); });
  return true;
}

bool Faults::slow_redis() {
  const std::size_t shard = struck();
  RedisModel& redis = world_.servers[shard];
  note(name_of(shard) + " is slow");
  const std::int64_t lasts_us = between(100 * kMs, 5 * kSecond);
  for (const auto& one : world_.instances) one->allow_slowness(lasts_us);
  redis.reply_delay_us = between(kMs, 150 * kMs);
  later(lasts_us, [&redis] { redis.reply_delay_us = 0; });
  return true;
}

bool Faults::deny_command() {
  static constexpr std::array kCommands = {
      "get",    "set",     "setex", "expire", "hgetall", "hset", "del",     "unlink",
      "exists", "evalsha", "incr",  "multi",  "scan",    "info", "hincrby", "select"};
  const std::size_t shard = struck();
  RedisModel& redis = world_.servers[shard];
  if (!redis.listening()) return false;
  const char* command = kCommands[random_->below(kCommands.size())];
  note(name_of(shard) + " denies " + command);
  const std::int64_t lasts_us = between(50 * kMs, 8 * kSecond);
  redis.denied.insert(command);
  for (const auto& one : world_.instances) one->excuse(Excuse::denied, lasts_us);
  later(lasts_us, [this, shard, &redis, command] {
    note(name_of(shard) + " allows " + command);
    redis.denied.erase(command);
    if (RedisModel* old = world_.servers.deposed(shard)) old->denied.erase(command);
  });
  return true;
}

}  // namespace stayd::sim
