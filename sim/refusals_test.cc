// Directed scenarios: what Redis, or the ledger's disk, refuses to do must log nobody out, and let
// nobody back in.
#include "sim/scenario.h"

namespace stayd::sim {
namespace {

// An evicted key was checked with EXISTS; its refusal counted as "gone", and the session as
// deleted.
TEST_F(Scenario, ARefusedCheckIsNoProofOfAbsence) {
  for (const char* command : {"exists", "info", "get"}) {
    ask({"HSET", command, "f", "1"});
    world.redis.evict(100);
    world.redis.denied.insert(command);
    EXPECT_EQ(ask({"HGETALL", command}), "{f=1 }") << command;
    world.redis.denied.clear();
    EXPECT_TRUE(world.heal_and_check());
  }
}

// The disk was full: the logout stood in memory. A login that was refused for the same reason took
// it back, and the old session answered again.
TEST_F(Scenario, ARefusedLoginTakesNoLogoutBack) {
  const FaultyStore::Fault full{.error = {Errc::no_space, "no space left on device"}};
  auto times = full;
  times.times = UINT64_MAX;
  for (const bool outage : {true, false}) {
    const std::string name = outage ? "a" : "b";
    ask({"HSET", name, "f", "old"});
    if (outage) world.redis.kill();
    world.pass(100 * kMs);
    world.instance.disk().faults().inject(FaultyStore::Operation::apply, times);
    world.instance.excuse(Excuse::unwritable, kSecond);
    EXPECT_EQ(ask({"DEL", name}), ":1");
    ask({"HSET", name, "f", "new"});
    if (!outage) world.redis.kill();
    world.pass(100 * kMs);
    EXPECT_EQ(ask({"HGETALL", name}).find("old"), std::string::npos);
    world.instance.disk().faults().heal();
    world.redis.start(0);
    EXPECT_TRUE(world.heal_and_check());
    EXPECT_EQ(ask({"HGETALL", name}).find("old"), std::string::npos);
  }
}

// The ledger could not be read, and Redis was asked instead, though it was known to hold something
// older.
TEST_F(Scenario, AnOwedKeyIsNotAskedOfRedis) {
  ask({"SET", "k", "v1"});
  ask({"SET", "gone", "v1"});
  world.redis.flags.no_replicas = true;
  EXPECT_EQ(ask({"SET", "k", "v2"}), "+OK");
  EXPECT_EQ(ask({"DEL", "gone"}), ":1");
  world.instance.excuse(Excuse::unreadable, kSecond);
  world.instance.disk().faults().inject(
      FaultyStore::Operation::load,
      {.error = {Errc::io, "input/output error"}, .times = UINT64_MAX});
  world.redis.kill();
  world.redis.start(0);
  for (int i = 0; i < 40; ++i) {
    world.pass(20 * kMs);
    EXPECT_NE(ask({"GET", "k"}), "\"v1\"") << i;
    EXPECT_NE(ask({"GET", "gone"}), "\"v1\"") << i;
  }
  world.instance.disk().faults().heal();
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(ask({"GET", "k"}), "\"v2\"");
}

// The ledger was emptied to start anew from Redis; before it was noted that the backfill has to be
// done again the power went, and every session was "not there".
TEST_F(Scenario, AnEmptiedLedgerNeverKnowsEveryKey) {
  for (int i = 0; i < 20; ++i) ask({"SET", "k" + std::to_string(i), "v"});
  world.instance.disk().lies = true;
  world.pass(5 * kSecond);
  world.cut_power();
  world.instance.disk().lies = false;
  world.instance.start();
  for (int i = 0; i < 4000 && world.truth_us == 0; ++i) world.pass(50);
  ASSERT_NE(world.truth_us, 0);
  world.pass(400);
  world.cut_power();
  world.redis.kill();
  world.instance.start();
  world.pass(kSecond);
  EXPECT_NE(ask({"GET", "k7"}), "nil");
  world.redis.start(0);
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(ask({"GET", "k7"}), "\"v\"");
}

// Told once, however often it is tried, and again for another reason.
TEST_F(Scenario, WhyRedisCannotBeReachedIsTold) {
  const auto told = [this] {
    const auto& lines = world.diary.lines();
    return std::ranges::count_if(
        lines, [](const auto& line) { return line.find("cannot be reached") != line.npos; });
  };
  world.redis.kill();
  world.pass(20 * kSecond);
  EXPECT_EQ(told(), 1);
  world.redis.start(0);
  world.redis.flags.loading = true;
  world.pass(20 * kSecond);
  EXPECT_EQ(told(), 2);
  world.redis.flags.loading = false;
  world.settle();
  world.redis.kill();
  world.pass(20 * kSecond);
  EXPECT_EQ(told(), 3);
}

}  // namespace
}  // namespace stayd::sim
