#include "sim/faults.h"

#include <array>
#include <memory>

#include "sim/world.h"

namespace stayd::sim {

std::span<const FaultKind> fault_kinds() {
  static constexpr std::array kKinds{
      FaultKind{"restart", 15 * kSecond, [](Faults& f) { return f.restart_redis(); }},
      FaultKind{"freeze", 10 * kSecond, [](Faults& f) { return f.freeze_redis(); }},
      FaultKind{"connection", 3 * kSecond, [](Faults& f) { return f.lose_connection(); }},
      FaultKind{"silence", 8 * kSecond, [](Faults& f) { return f.silence(); }},
      FaultKind{"loading", 15 * kSecond, [](Faults& f) { return f.refuse(&ServerFlags::loading); }},
      FaultKind{"busy", 15 * kSecond, [](Faults& f) { return f.refuse(&ServerFlags::busy); }},
      FaultKind{"oom", 12 * kSecond, [](Faults& f) { return f.refuse(&ServerFlags::no_memory); }},
      FaultKind{"misconf", 15 * kSecond, [](Faults& f) { return f.refuse(&ServerFlags::misconf); }},
      FaultKind{"readonly", 15 * kSecond,
                [](Faults& f) { return f.refuse(&ServerFlags::replica); }},
      FaultKind{"evict", 2 * kSecond, [](Faults& f) { return f.evict(); }},
      FaultKind{"flush", 15 * kSecond, [](Faults& f) { return f.flush(); }},
      FaultKind{"slow-redis", 8 * kSecond, [](Faults& f) { return f.slow_redis(); }},
      FaultKind{"slow-network", 8 * kSecond, [](Faults& f) { return f.slow_network(); }},
      FaultKind{"kill-stayd", 12 * kSecond, [](Faults& f) { return f.kill_stayd(); }},
      FaultKind{"pause-stayd", 8 * kSecond, [](Faults& f) { return f.pause_stayd(); }},
      FaultKind{"slow-disk", 8 * kSecond, [](Faults& f) { return f.slow_disk(); }},
      FaultKind{"backfill", 15 * kSecond, [](Faults& f) { return f.repeat_backfill(); }},
      FaultKind{"twice", 15 * kSecond, [](Faults& f) { return f.strike_twice(); }},
      FaultKind{"die-slowly", 15 * kSecond, [](Faults& f) { return f.die_slowly(); }},
      FaultKind{"hidden-failover", 15 * kSecond,
                [](Faults& f) { return f.fail_over_in_a_pause(); }},
  };
  return kKinds;
}

namespace {

const char* says(bool ServerFlags::* flag) {
  if (flag == &ServerFlags::loading) return "Redis is loading";
  if (flag == &ServerFlags::busy) return "Redis is busy";
  if (flag == &ServerFlags::no_memory) return "Redis has no memory";
  if (flag == &ServerFlags::misconf) return "Redis cannot persist";
  return "Redis is a replica";
}

}  // namespace

Faults::Faults(World& world) : world_(world) {}

std::int64_t Faults::between(std::int64_t low_us, std::int64_t high_us) {
  // More short ones than long ones: the square of a uniform number.
  const double part = static_cast<double>(random_->below(1'000'000)) / 1e6;
  return low_us + static_cast<std::int64_t>(part * part * static_cast<double>(high_us - low_us));
}

void Faults::later(std::int64_t delay_us, std::function<void()> action) {
  world_.scheduler.after(delay_us, [this, random = random_, action = std::move(action)] {
    if (healed_) return;
    random_ = random;
    action();
  });
}

void Faults::note(const std::string& text) {
  world_.instance.note("-- " + text);
}

void Faults::start() {
  for (const FaultKind& kind : fault_kinds()) {
    const auto mean = world_.options.fault_means_us.find(kind.name);
    if (mean == world_.options.fault_means_us.end()) continue;
    randoms_.push_back(std::make_unique<Random>(stream(world_.options.seed, kind.name)));
    random_ = randoms_.back().get();
    plan(kind, mean->second);
  }
}

void Faults::plan(const FaultKind& kind, std::int64_t mean_us) {
  const auto pause = random_->below(static_cast<std::uint64_t>(2 * mean_us));
  later(static_cast<std::int64_t>(pause), [this, &kind, mean_us] {
    if (kind.strike(*this)) ++world_.faults_struck[kind.name];
    plan(kind, mean_us);
  });
}

void Faults::heal() {
  healed_ = true;
  note("faults end");
  world_.redis.reply_delay_us = 0;
  world_.instance.disk().be_fast();
  world_.instance.network().min_delay_us = 30;
  world_.instance.network().max_delay_us = 150;
  if (!world_.redis.listening()) world_.redis.start(0);
  world_.redis.thaw();
  world_.redis.flags = ServerFlags{};
  world_.instance.network().speak();
  if (!world_.instance.alive()) world_.instance.start();
}

// --- Redis ----------------------------------------------------------------------------------

bool Faults::restart_redis() {
  if (!world_.redis.listening()) return false;
  note("Redis is killed");
  world_.redis.kill();
  const auto how = adopted() ? random_->below(4) : 1;
  later(between(10 * kMs, 10 * kSecond), [this, how] {
    if (!world_.redis.listening()) bring_back(how);
  });
  return true;
}

void Faults::bring_back(std::uint64_t how) {
  RedisModel& redis = world_.redis;
  if (how == 0) {
    note("Redis starts empty");
    redis.start_empty();
  } else if (how == 1) {
    note("Redis starts with everything");
    redis.start(0);
  } else if (how == 2) {
    note("Redis starts without its last changes");
    redis.start(random_->below(20));
  } else {
    note("Redis starts from an old snapshot");
    redis.start(redis.changes_since(world_.scheduler.now_us() - between(kSecond, 60 * kSecond)));
  }
  if (random_->chance(30)) {
    redis.flags.loading = true;
    later(between(50 * kMs, 3 * kSecond), [this] { world_.redis.flags.loading = false; });
  }
}

bool Faults::freeze_redis() {
  if (!world_.redis.listening() || world_.redis.flags.frozen) return false;
  note("Redis is frozen");
  world_.redis.freeze();
  later(between(20 * kMs, 8 * kSecond), [this] {
    if (world_.redis.flags.frozen) note("Redis is thawed");
    world_.redis.thaw();
  });
  return true;
}

bool Faults::refuse(bool ServerFlags::* flag) {
  if (!world_.redis.listening()) return false;
  note(says(flag));
  world_.redis.flags.*flag = true;
  later(between(50 * kMs, 8 * kSecond), [this, flag] {
    note("Redis no longer refuses");
    world_.redis.flags.*flag = false;
  });
  return true;
}

// What Redis loses before stayd has heard of it is lost.
bool Faults::adopted() const {
  return world_.instance.alive() && world_.instance.status().adoption_complete;
}

bool Faults::evict() {
  if (!adopted() || !world_.redis.listening()) return false;
  note("keys are evicted");
  world_.redis.evict(1 + random_->below(20));
  world_.users.give_up_lost_scripts(world_.redis);
  return true;
}

bool Faults::flush() {
  if (!world_.redis.listening() || !adopted()) return false;
  note("somebody else sends FLUSHALL");
  world_.redis.flush_all();
  world_.users.give_up_lost_scripts(world_.redis);
  return true;
}

bool Faults::slow_redis() {
  note("Redis is slow");
  const std::int64_t lasts_us = between(100 * kMs, 5 * kSecond);
  world_.users.note_slow(lasts_us);
  world_.redis.reply_delay_us = between(kMs, 150 * kMs);
  later(lasts_us, [this] { world_.redis.reply_delay_us = 0; });
  return true;
}

// --- the network ----------------------------------------------------------------------------

bool Faults::lose_connection() {
  note("a connection is lost");
  world_.instance.network().lose_one(static_cast<unsigned>(random_->below(16)));
  return true;
}

bool Faults::silence() {
  Network& network = world_.instance.network();
  const auto which = random_->below(3);
  note(which == 0 ? "silence" : which == 1 ? "silence towards Redis" : "silence from Redis");
  network.speak();  // what an earlier silence holds back must not be overtaken
  network.silent_to_server = which != 2;
  network.silent_to_client = which != 1;
  later(between(20 * kMs, 6 * kSecond), [this] {
    note("silence ends");
    world_.instance.network().speak();
  });
  return true;
}

bool Faults::slow_network() {
  note("the network is slow");
  const std::int64_t lasts_us = between(100 * kMs, 5 * kSecond);
  world_.users.note_slow(lasts_us);
  Network& network = world_.instance.network();
  network.min_delay_us = between(kMs, 20 * kMs);
  network.max_delay_us = network.min_delay_us + between(kMs, 60 * kMs);
  later(lasts_us, [this] {
    world_.instance.network().min_delay_us = 30;
    world_.instance.network().max_delay_us = 150;
  });
  return true;
}

// --- stayd and its host ---------------------------------------------------------------------

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

}  // namespace stayd::sim
