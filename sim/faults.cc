#include "sim/faults.h"

#include "sim/world.h"

namespace stayd::sim {

Faults::Faults(World& world) : world_(world), random_(world.random.next()) {
  kinds_ = {
      {"restart", 15 * kSecond, [this] { restart_redis(); }},
      {"freeze", 10 * kSecond, [this] { freeze_redis(); }},
      {"connections", 3 * kSecond, [this] { lose_connections(); }},
      {"silence", 8 * kSecond, [this] { silence(); }},
      {"loading", 15 * kSecond, [this] { refuse(0); }},
      {"busy", 15 * kSecond, [this] { refuse(1); }},
      {"no memory", 12 * kSecond, [this] { refuse(2); }},
      {"misconf", 15 * kSecond, [this] { refuse(3); }},
      {"replica", 15 * kSecond, [this] { refuse(4); }},
      {"evict", 2 * kSecond, [this] { evict(); }},
      {"flush", 15 * kSecond, [this] { flush(); }},
      {"slow redis", 8 * kSecond, [this] { slow_redis(); }},
      {"slow network", 8 * kSecond, [this] { slow_network(); }},
      {"kill stayd", 12 * kSecond, [this] { kill_stayd(); }},
      {"pause stayd", 8 * kSecond, [this] { pause_stayd(); }},
      {"slow disk", 8 * kSecond, [this] { slow_disk(); }},
  };
}

std::int64_t Faults::between(std::int64_t low_us, std::int64_t high_us) {
  // More short ones than long ones: the square of a uniform number.
  const double part = static_cast<double>(random_.below(1'000'000)) / 1e6;
  return low_us + static_cast<std::int64_t>(part * part * static_cast<double>(high_us - low_us));
}

void Faults::later(std::int64_t delay_us, std::function<void()> action) {
  world_.scheduler.after(delay_us, [this, action = std::move(action)] {
    if (!healed_) action();
  });
}

void Faults::note(const char* text) {
  world_.instance.note(std::string("-- ") + text);
}

void Faults::start() {
  for (std::size_t i = 0; i < kinds_.size(); ++i) {
    if (!random_.chance(35)) continue;
    const std::int64_t mean = kinds_[i].mean_us / 2 + between(0, 4 * kinds_[i].mean_us);
    plan(i, mean);
  }
}

void Faults::plan(std::size_t kind, std::int64_t mean_us) {
  later(static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(2 * mean_us))),
        [this, kind, mean_us] {
          kinds_[kind].strike();
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

void Faults::restart_redis() {
  if (!world_.redis.listening()) return;
  note("Redis is killed");
  world_.redis.kill();
  const auto how = adopted() ? random_.below(4) : 1;
  later(between(10 * kMs, 10 * kSecond), [this, how] {
    RedisModel& redis = world_.redis;
    if (redis.listening()) return;
    if (how == 0) {
      note("Redis starts empty");
      redis.start_empty();
    } else if (how == 1) {
      note("Redis starts with everything");
      redis.start(0);
    } else if (how == 2) {
      note("Redis starts without its last changes");
      redis.start(random_.below(20));
    } else {
      note("Redis starts from an old snapshot");
      redis.start(redis.changes_since(world_.scheduler.now_us() - between(kSecond, 60 * kSecond)));
    }
    if (random_.chance(30)) {
      redis.flags.loading = true;
      later(between(50 * kMs, 3 * kSecond), [this] { world_.redis.flags.loading = false; });
    }
  });
}

void Faults::freeze_redis() {
  if (!world_.redis.listening()) return;
  note("Redis is frozen");
  world_.redis.freeze();
  later(between(20 * kMs, 8 * kSecond), [this] {
    if (world_.redis.flags.frozen) note("Redis is thawed");
    world_.redis.thaw();
  });
}

void Faults::lose_connections() {
  note("a connection is lost");
  world_.instance.network().lose_one(static_cast<unsigned>(random_.below(16)));
}

void Faults::silence() {
  Network& network = world_.instance.network();
  const auto which = random_.below(3);
  note(which == 0 ? "silence" : which == 1 ? "silence towards Redis" : "silence from Redis");
  network.speak();  // what an earlier silence holds back must not be overtaken
  network.silent_to_server = which != 2;
  network.silent_to_client = which != 1;
  later(between(20 * kMs, 6 * kSecond), [this] {
    note("silence ends");
    world_.instance.network().speak();
  });
}

void Faults::refuse(int what) {
  static constexpr const char* kNames[] = {"Redis is loading", "Redis is busy",
                                           "Redis has no memory", "Redis refuses writes",
                                           "Redis is a replica"};
  static constexpr bool ServerFlags::* kFlags[] = {&ServerFlags::loading, &ServerFlags::busy,
                                                   &ServerFlags::no_memory, &ServerFlags::misconf,
                                                   &ServerFlags::replica};
  if (!world_.redis.listening()) return;
  note(kNames[what]);
  world_.redis.flags.*kFlags[what] = true;
  later(between(50 * kMs, 8 * kSecond), [this, what] {
    note("Redis no longer");
    world_.redis.flags.*kFlags[what] = false;
  });
}

// What Redis loses before stayd has heard of it is lost.
bool Faults::adopted() const {
  return world_.instance.alive() && world_.instance.status().adoption_complete;
}

void Faults::evict() {
  if (!adopted()) return;
  note("keys are evicted");
  world_.redis.evict(1 + random_.below(20));
}

void Faults::flush() {
  if (!world_.redis.listening() || !adopted()) return;
  note("somebody else sends FLUSHALL");
  world_.redis.flush_all();
}

void Faults::slow_redis() {
  note("Redis is slow");
  const std::int64_t lasts_us = between(100 * kMs, 5 * kSecond);
  world_.users.note_slow(lasts_us);
  world_.redis.reply_delay_us = between(kMs, 150 * kMs);
  later(lasts_us, [this] { world_.redis.reply_delay_us = 0; });
}

void Faults::slow_network() {
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
}

void Faults::kill_stayd() {
  world_.kill_stayd();
  later(between(kMs, 4 * kSecond), [this] {
    if (!world_.instance.alive()) world_.instance.start();
  });
}

void Faults::pause_stayd() {
  world_.instance.pause(between(10 * kMs, 6 * kSecond));
}

void Faults::slow_disk() {
  note("the disk is slow");
  world_.instance.disk().max_delay_us = between(kMs, 60 * kMs);
  world_.instance.disk().max_sync_us = between(kMs, 100 * kMs);
  const std::int64_t lasts_us = between(100 * kMs, 5 * kSecond);
  world_.users.note_slow(lasts_us);
  later(lasts_us, [this] { world_.instance.disk().be_fast(); });
}

}  // namespace stayd::sim
