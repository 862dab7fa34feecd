// Directed scenarios of R9: what Redis refused, or nobody answered, is done by the stand-in as
// something new.
#include "sim/scenario.h"

namespace stayd::sim {
namespace {

class Doubt : public Scenario {
 protected:
  void wait_for_heartbeat() {
    const auto before = world.instance.counters().canary_writes;
    for (int i = 0; i < 1000 && world.instance.counters().canary_writes == before; ++i) {
      world.pass(kMs);
    }
    ASSERT_NE(world.instance.counters().canary_writes, before);
  }
};

// Redis refused a save and took the heartbeat behind it, whose S was above the save's version: a
// logout had been recorded meanwhile. Done by the stand-in with that version, the save was nothing
// that a next life had to replay: after kill -9 Redis was trusted with the value of before.
TEST_F(Doubt, ARefusedWriteStandsAboveTheHeartbeatBehindIt) {
  Network& network = world.instance.network();
  for (std::int64_t moment_us = 370 * kMs; moment_us < 400 * kMs; moment_us += 2 * kMs) {
    ask({"HSET", "h", "f", "v1"});
    ask({"SET", "k", "v1"});
    ask({"SET", "other", "1"});
    wait_for_heartbeat();
    world.pass(moment_us);
    network.min_delay_us = network.max_delay_us = 10 * kMs;
    world.redis.flags.no_memory = true;
    world.users.ask(key("h"), one({"HSET", "h", "f", "v2"}), 1);
    world.users.ask(key("k"), one({"SET", "k", "v2"}), 2);
    world.pass(kMs);
    world.users.ask(key("other"), one({"DEL", "other"}), 3);
    world.pass(11 * kMs);
    world.redis.flags.no_memory = false;
    wait();
    network.min_delay_us = 30, network.max_delay_us = 150;
    world.kill_stayd();
    world.instance.start();
    world.settle();
    EXPECT_EQ(ask({"HGETALL", "h"}), "{f=v2 }") << moment_us;
    EXPECT_EQ(ask({"GET", "k"}), "\"v2\"") << moment_us;
  }
  EXPECT_TRUE(world.heal_and_check());
}

// Found by ./dev differential --outages: Redis appended, and died before it was asked for the new
// value. It came back without, and the value of before was the session again, though the append had
// been told.
TEST_F(Doubt, AnAppendThatCannotBeReadBackIsNotTold) {
  int unknown = 0;
  for (std::int64_t delay_us = 0; delay_us < 1200; delay_us += 20) {
    const std::string name = "script:" + std::to_string(delay_us);
    ask({"SET", name, "a"});
    world.users.ask(key(name), one({"APPEND", name, "b"}));
    world.pass(delay_us);
    world.redis.kill();
    wait();
    const std::string told = world.users.last_reply();
    unknown += told[0] == '-';
    const auto found = world.redis.data().find(key(name));
    ASSERT_NE(found, world.redis.data().end());
    world.redis.start(found->second.value == Record{.value = "ab"}.value);
    world.settle();
    const std::string value = ask({"GET", name});
    world.pass(11 * kSecond);  // or it counts as flapping
    EXPECT_TRUE(value == "\"ab\"" || told[0] == '-') << told << " " << value;
  }
  EXPECT_GT(unknown, 0);
  EXPECT_TRUE(world.heal_and_check());
}

// Redis was frozen and stayd stood still: the reply came a second after the question, and the
// ledger's seconds had begun when it was asked (seed 513459).
TEST_F(Doubt, SecondsBeginWhenRedisGetsThem) {
  ask({"SET", "k", "v"});
  world.redis.freeze();
  world.users.ask(key("k"), one({"SETEX", "k", "3600", "w"}));
  world.pass(kMs);
  world.instance.pause(1300 * kMs);
  world.pass(1100 * kMs);
  world.redis.thaw();
  wait();
  world.settle();
  ASSERT_EQ(world.redis.data().at(key("k")).value, Record{.value = "w"}.value);
  EXPECT_TRUE(world.heal_and_check());
}

}  // namespace
}  // namespace stayd::sim
