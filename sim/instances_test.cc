// Several stayds on one Redis, each with a ledger of its own (core/shared.cc): what is promised to
// sessions whose commands all go to one of them, and what a healthy Redis gives the others.
#include "sim/scenario.h"

namespace stayd::sim {
namespace {

class TwoStayds : public ::testing::Test {
 protected:
  TwoStayds() {
    world.settle();
    world.pass(3 * kSecond);  // each has seen the other
  }
  ~TwoStayds() override { EXPECT_FALSE(world.users.failed()) << world.report(); }

  static WorldOptions options() {
    WorldOptions options;
    options.faults = false;
    options.fill_redis = false;
    options.instances = 2;
    options.instance.engine.region = kFirstRegion;
    options.users.sessions = 0;
    options.users.roaming_percent = 0;
    return options;
  }
  // A session of the first stayd, or of the second.
  FullKey session_of(std::size_t number) const {
    for (int i = 0;; ++i) {
      const FullKey key = full_key(0, "k" + std::to_string(i));
      if (&world.users.home(key) == world.instances[number].get()) return key;
    }
  }
  std::string ask(std::size_t number, const FullKey& key, Words words) {
    words.insert(words.begin() + 1, std::string(key_of(key)));
    world.users.ask_at(*world.instances[number], key, one(std::move(words)));
    for (int i = 0; i < 200 && world.users.under_way() > 0; ++i) world.pass(5 * kMs);
    EXPECT_EQ(world.users.under_way(), 0U);
    return world.users.last_reply();
  }
  // The ledger of a stayd takes over what Redis holds.
  void adopt(std::size_t number) {
    world.instances[number]->restart_adoption();
    world.settle();
  }
  bool shared(std::size_t number) const {
    return world.instances[number]->status().shard.shared_unsafe;
  }
  void empty_redis() {
    world.redis.kill();
    world.pass(50 * kMs);
    world.redis.start_empty();
    world.settle();
  }

  World world{options()};
  const FullKey mine = session_of(0);
};

// What was written while Redis was out was given up afterwards, as Redis held a value.
TEST_F(TwoStayds, AWriteInAnOutageHolds) {
  ask(0, mine, {"SET", "old"});
  world.redis.kill();
  world.pass(50 * kMs);
  EXPECT_EQ(ask(0, mine, {"SET", "new"}), "+OK");
  world.redis.start(0);
  world.settle();
  EXPECT_EQ(ask(0, mine, {"GET"}), "\"new\"");
}

// The other's copy, taken over long ago, came before the value of the one that serves the session.
TEST_F(TwoStayds, AnEmptiedRedisGetsEachSessionFromItsOwnStayd) {
  ask(0, mine, {"SET", "old"});
  adopt(1);
  ask(0, mine, {"SET", "new"});
  empty_redis();
  EXPECT_EQ(world.redis.data().at(mine).value, Record{.value = "new"}.value);
  EXPECT_EQ(ask(0, mine, {"GET"}), "\"new\"");
}

// The other put a session back that had been logged out here.
TEST_F(TwoStayds, AnEmptiedRedisBringsNoLogoutBack) {
  ask(0, mine, {"SET", "v"});
  adopt(1);
  EXPECT_EQ(ask(0, mine, {"DEL"}), ":1");
  empty_redis();
  EXPECT_FALSE(world.redis.data().contains(mine));
  EXPECT_EQ(ask(0, mine, {"GET"}), "nil");
}

// Nothing but what Redis held was replayed: a logout since then was void.
TEST_F(TwoStayds, ALogoutHoldsWhenRedisGoesBack) {
  ask(0, mine, {"SET", "v"});
  world.pass(kSecond);
  ask(0, mine, {"DEL"});
  world.redis.kill();
  world.pass(50 * kMs);
  world.redis.start(world.redis.changes_since(world.scheduler.now_us() - 500 * kMs));
  world.settle();
  EXPECT_EQ(ask(0, mine, {"GET"}), "nil");
}

// A nil was believed until the next heartbeat.
TEST_F(TwoStayds, AFlushLogsNobodyOut) {
  ask(0, mine, {"SET", "v"});
  world.redis.flush_all();
  EXPECT_EQ(ask(0, mine, {"GET"}), "\"v\"");
}

// A flush after an eviction passed for the eviction of the heartbeat alone: nothing was put back.
TEST_F(TwoStayds, AFlushIsNoEviction) {
  ask(0, mine, {"SET", "v"});
  ask(1, session_of(1), {"SET", "evicted"});
  world.redis.evict_one(session_of(1));
  world.redis.flush_all();
  world.pass(kSecond);
  world.settle();
  EXPECT_TRUE(world.redis.data().contains(mine));
  EXPECT_EQ(ask(0, mine, {"GET"}), "\"v\"");
}

// Written before stayd came, and never through it: put back when it is asked for.
TEST_F(TwoStayds, WhatWasOnlyTakenOverIsPutBackWhenItIsAskedFor) {
  Record record{.value = "before"};
  world.redis.put(mine, record);
  KeyState state;
  state.record = record;
  world.users.history(mine).start_with(state);
  adopt(0);
  adopt(1);
  empty_redis();
  EXPECT_FALSE(world.redis.data().contains(mine));
  EXPECT_EQ(ask(0, mine, {"GET"}), "\"before\"");
  world.settle();
  EXPECT_TRUE(world.redis.data().contains(mine));
}

// W15, W1: it may have been logged out through the other, which nobody here would know.
TEST_F(TwoStayds, WhatWasEvictedCountsAsLoggedOut) {
  ask(0, mine, {"SET", "v"});
  world.redis.evict_one(mine);
  EXPECT_EQ(ask(0, mine, {"GET"}), "nil");
}

// The ledger here had missed a write when the other logged the session out; as Redis had evicted
// something else, what the ledger knew was put back.
TEST_F(TwoStayds, ALogoutThroughTheOtherHoldsWhereTheLedgerHasMissedAWrite) {
  ask(0, mine, {"SET", "v1"});
  ask(1, session_of(1), {"SET", "evicted"});
  world.instance.excuse(Excuse::unwritable, 10 * kSecond);
  auto& faults = world.instance.disk().faults();
  faults.inject(FaultyStore::Operation::apply,
                {.error = {Errc::no_space, "no space left on device"}, .times = UINT64_MAX});
  EXPECT_EQ(ask(0, mine, {"SET", "v2"}), "+OK");
  EXPECT_EQ(ask(1, mine, {"DEL"}), ":1");
  world.redis.evict_one(session_of(1));
  world.pass(kSecond);  // heartbeats tell of it
  faults.heal();
  world.settle();
  world.pass(kSecond);
  EXPECT_FALSE(world.redis.data().contains(mine));
  EXPECT_EQ(ask(0, mine, {"GET"}), "nil");
}

TEST_F(TwoStayds, WhatAHealthyRedisGivesHoldsForRoamingSessions) {
  ask(0, mine, {"SET", "a"});
  EXPECT_EQ(ask(1, mine, {"GET"}), "\"a\"");
  EXPECT_EQ(ask(1, mine, {"SET", "b"}), "+OK");
  EXPECT_EQ(ask(0, mine, {"GET"}), "\"b\"");
  ask(1, mine, {"DEL"});
  EXPECT_EQ(ask(0, mine, {"GET"}), "nil");
  EXPECT_EQ(ask(1, mine, {"SET", "c"}), "+OK");
  EXPECT_EQ(ask(0, mine, {"GET"}), "\"c\"");
}

// One that is cut off from Redis serves its sessions; the others notice nothing.
TEST_F(TwoStayds, OneIsCutOff) {
  const FullKey other = session_of(1);
  ask(0, mine, {"SET", "1"});
  ask(1, other, {"SET", "2"});
  world.instance.network().silent_to_server = true;
  world.pass(kSecond);
  EXPECT_EQ(world.instances[1]->status().shard.trust, Trust::trusted);
  EXPECT_EQ(ask(0, mine, {"SET", "3"}), "+OK");
  EXPECT_EQ(ask(1, other, {"DEL"}), ":1");
  world.instance.network().speak();
  world.settle();
  EXPECT_EQ(ask(0, mine, {"GET"}), "\"3\"");
  EXPECT_EQ(ask(1, other, {"GET"}), "nil");
}

// A stayd that has started anew knew nothing of the other until its second heartbeat: it replayed
// what it had merely taken over.
TEST_F(TwoStayds, TheOtherIsRememberedOverARestart) {
  ask(0, mine, {"SET", "old"});
  adopt(1);
  ask(0, mine, {"SET", "new"});
  world.kill_stayd(*world.instances[1]);
  world.redis.kill();
  world.pass(50 * kMs);
  world.redis.start_empty();
  world.instances[1]->start();
  world.settle();
  EXPECT_TRUE(shared(1));
  EXPECT_EQ(ask(0, mine, {"GET"}), "\"new\"");
}

// An outage of more than 15 s was taken for the end of the other: whoever was back first replayed
// what it had merely taken over.
TEST_F(TwoStayds, ALongOutageEndsNobody) {
  ask(0, mine, {"SET", "v"});
  adopt(1);
  ask(0, mine, {"DEL"});
  world.redis.kill();
  world.pass(40 * kSecond);
  world.redis.start_empty();
  world.instance.network().silent_to_server = true;
  world.pass(12 * kSecond);
  EXPECT_EQ(world.instances[1]->status().shard.trust, Trust::trusted);
  EXPECT_TRUE(shared(1));
  EXPECT_FALSE(world.redis.data().contains(mine));
  world.instance.network().speak();
  world.settle();
}

// An entry is 15 s old before its stayd counts as gone; a Redis that refuses writes says nothing.
TEST_F(TwoStayds, AnOtherThatIsGoneIsForgotten) {
  world.redis.flags.misconf = true;
  world.pass(30 * kSecond);
  EXPECT_TRUE(shared(0));
  world.redis.flags.misconf = false;
  world.pass(5 * kSecond);
  EXPECT_TRUE(shared(0));
  world.kill_stayd(*world.instances[1]);
  world.pass(20 * kSecond);
  EXPECT_FALSE(shared(0));
  world.instances[1]->start();
  world.settle();
  world.pass(3 * kSecond);
  EXPECT_TRUE(shared(0));
}

// Each brings its own sessions along, and the other's copies stay behind.
TEST_F(TwoStayds, AnotherRegionAndBack) {
  const FullKey its = session_of(1);
  const auto change_region = [&](bool known) {
    world.redis.trade_places(world.servers.standby());
    for (const auto& one : world.instances) one->change_region(known);
  };
  ask(0, mine, {"SET", "v"});
  ask(1, its, {"SET", "old"});
  adopt(0);
  ask(1, its, {"SET", "new"});
  change_region(false);
  EXPECT_EQ(ask(1, its, {"GET"}), "\"new\"");
  world.settle();
  EXPECT_EQ(world.redis.data().at(its).value, Record{.value = "new"}.value);
  EXPECT_EQ(ask(0, mine, {"DEL"}), ":1");
  EXPECT_EQ(ask(1, its, {"SET", "newer"}), "+OK");
  change_region(true);
  ASSERT_TRUE(world.redis.data().contains(mine));
  EXPECT_EQ(ask(0, mine, {"GET"}), "nil");
  world.settle();
  EXPECT_FALSE(world.redis.data().contains(mine));
  EXPECT_EQ(world.redis.data().at(its).value, Record{.value = "newer"}.value);
  EXPECT_TRUE(world.heal_and_check());
}

TEST(ManyStayds, TheSameSeedIsTheSameRun) {
  std::uint64_t hashes[2] = {};
  for (auto& hash : hashes) {
    World world({.seed = 42, .minutes = 0.2, .instances = 5});
    EXPECT_TRUE(world.run()) << world.report();
    hash = world.scheduler.hash();
  }
  EXPECT_EQ(hashes[0], hashes[1]);
}

TEST(ManyStayds, ADozenSeeds) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    World world({.seed = seed, .minutes = 0.3, .instances = 2 + static_cast<int>(seed % 4)});
    ASSERT_TRUE(world.run()) << world.report();
  }
}

// A logout that the ledger could not take was in memory only: with another stayd about it was not
// replayed into a Redis that had come back from before it (seed 430377).
TEST_F(TwoStayds, ALogoutInMemoryIsReplayed) {
  ask(0, mine, {"SET", "v"});
  world.pass(kSecond);
  world.instance.disk().faults().inject(
      FaultyStore::Operation::apply,
      {.error = {Errc::no_space, "no space left on device"}, .times = UINT64_MAX});
  world.instance.excuse(Excuse::unwritable, 10 * kSecond);
  const std::int64_t before_us = world.scheduler.now_us();
  EXPECT_EQ(ask(0, mine, {"DEL"}), ":1");
  world.redis.kill();
  world.pass(50 * kMs);
  world.redis.start(world.redis.changes_since(before_us));
  ASSERT_TRUE(world.redis.data().contains(mine));
  world.pass(2 * kSecond);
  EXPECT_EQ(ask(0, mine, {"GET"}), "nil");
  EXPECT_FALSE(world.redis.data().contains(mine));
  world.instance.disk().faults().heal();
  EXPECT_TRUE(world.heal_and_check());
}

// A script found that Redis had lost its key and was undone: the row, only taken over, gave way to
// what the script had left, and it ran again on that (seed 440776).
TEST_F(TwoStayds, AnUndoneScriptLeavesNothingBehind) {
  Record record{.value = "before"};
  world.redis.put(mine, record);
  KeyState state;
  state.record = record;
  world.users.history(mine).start_with(state);
  adopt(0);
  empty_redis();
  ASSERT_FALSE(world.redis.data().contains(mine));
  world.instance.disk().faults().inject(
      FaultyStore::Operation::apply,
      {.error = {Errc::no_space, "no space left on device"}, .times = UINT64_MAX});
  world.instance.excuse(Excuse::unwritable, 10 * kSecond);
  world.users.ask_at(*world.instances[0], mine,
                     one({"EVAL", "return redis.call('append',KEYS[1],ARGV[1])", "1",
                          std::string(key_of(mine)), "+"}));
  world.pass(kSecond);
  EXPECT_EQ(world.users.last_reply(), ":7");
  EXPECT_EQ(world.redis.data().at(mine).value, Record{.value = "before+"}.value);
}

}  // namespace
}  // namespace stayd::sim
