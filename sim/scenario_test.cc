// Directed scenarios: one story each, named after what a user must not suffer.
#include "sim/scenario.h"

namespace stayd::sim {
namespace {

TEST_F(Scenario, RedisComesBackEmpty) {
  ask({"SET", "k", "v1", "EX", "100"});
  world.redis.kill();
  world.pass(50 * kMs);
  world.redis.start_empty();
  EXPECT_EQ(ask({"GET", "k"}), "\"v1\"");
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(world.redis.data().count(key("k")), 1U);
}

TEST_F(Scenario, AnOldSnapshotHoldsALoggedOutSession) {
  ask({"SET", "k", "v1", "EX", "100"});
  world.pass(kSecond);
  const auto before_logout = world.scheduler.now_us();
  EXPECT_EQ(ask({"DEL", "k"}), ":1");
  world.pass(kSecond);
  restart_redis(world.redis.changes_since(before_logout));
  EXPECT_EQ(world.redis.data().count(key("k")), 1U);
  EXPECT_EQ(ask({"GET", "k"}), "nil");
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(ask({"GET", "k"}), "nil");
}

TEST_F(Scenario, AnIncrementInDoubtCountsOnce) {
  ask({"INCR", "k"});
  world.users.ask(key("k"), one({"INCR", "k"}));
  world.pass(1);  // on its way
  world.redis.kill();
  wait();
  EXPECT_EQ(world.users.last_reply(), ":2");
  world.redis.start(0);  // it may have been executed there too
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(ask({"INCR", "k"}), ":3");
}

TEST_F(Scenario, AFrozenRedisExecutesOldCommandsLater) {
  ask({"SET", "k", "v1"});
  world.redis.freeze();
  world.users.ask(key("k"), one({"SET", "k", "v2"}));  // waits in Redis' socket
  wait();
  EXPECT_EQ(ask({"SET", "k", "v3"}), "+OK");
  EXPECT_EQ(ask({"DEL", "k"}), ":1");
  world.redis.thaw();
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(ask({"GET", "k"}), "nil");
}

// A block's tombstone stood in the ledger and the block had not been sent when a heartbeat told
// Redis that everything up to there had arrived: after a kill -9 nobody removed the key any more.
TEST_F(Scenario, StaydDiesBetweenABlocksTombstoneAndTheBlock) {
  ask({"SET", "k", "v1"});
  world.users.ask(key("k"), {.commands = {{"DEL", "k"}}, .block = true});
  const auto buried = [&] {
    return world.instance.disk().rows().at(key("k")).meta.state == RowState::tomb;
  };
  for (int i = 0; i < 10'000 && !buried(); ++i) world.pass(1);
  ASSERT_TRUE(buried());
  world.instance.disk().faults().hold(true);  // and nobody hears of it
  world.pass(kSecond);                        // heartbeats
  ASSERT_EQ(world.users.under_way(), 1U);
  world.kill_stayd();
  world.instance.disk().faults().hold(false);
  world.instance.start();
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(ask({"GET", "k"}), "nil");
}

// Redis had executed a write that the ledger had not recorded when stayd was killed: reads showed
// the new value, the next outage the old one.
TEST_F(Scenario, StaydDiesWithWritesOnTheirWay) {
  for (const char* name : {"changed", "taken", "counted"}) ask({"SET", name, "1"});
  world.pass(kSecond);  // the heartbeat says that they have arrived
  world.instance.network().silent_to_client = true;
  world.users.ask(key("changed"), one({"SET", "changed", "2"}));
  world.users.ask(key("created"), one({"SET", "created", "1", "EX", "100"}));
  world.users.ask(key("taken"), one({"GETDEL", "taken"}));
  world.users.ask(key("counted"), one({"INCR", "counted"}));
  world.pass(5 * kMs);
  ASSERT_EQ(world.redis.data().count(key("created")), 1U);
  world.kill_stayd();
  world.instance.network().speak();
  world.instance.start();
  world.settle();
  for (const bool outage : {false, true}) {
    if (outage) world.redis.kill();
    EXPECT_EQ(ask({"GET", "changed"}), "\"2\"");
    EXPECT_EQ(ask({"GET", "created"}), "\"1\"");
    EXPECT_EQ(ask({"GET", "taken"}), "nil");
    EXPECT_EQ(ask({"INCR", "counted"}), outage ? ":4" : ":3");
  }
  world.redis.start(0);
  EXPECT_TRUE(world.heal_and_check());
}

// The key was written in the outage that followed the kill: the newer value stands.
TEST_F(Scenario, ALeftoverDoesNotOverwriteWhatCameAfterIt) {
  ask({"SET", "k", "v1"});
  world.pass(kSecond);
  world.instance.network().silent_to_client = true;
  world.users.ask(key("k"), one({"SET", "k", "v2"}));
  world.pass(5 * kMs);
  world.kill_stayd();
  world.instance.network().speak();
  world.redis.kill();
  world.instance.start();
  EXPECT_EQ(ask({"GET", "k"}), "\"v1\"");
  EXPECT_EQ(ask({"SET", "k", "v3"}), "+OK");
  world.redis.start(0);
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(ask({"GET", "k"}), "\"v3\"");
}

// Seed 110036 of ten minutes: a key that somebody had removed was told to be gone before the ledger
// had written so. After kill -9 it was put back.
TEST_F(Scenario, ARemovalPastStaydIsRecordedBeforeItIsTold) {
  for (int i = 0; i < 20; ++i) {
    const std::string name = "k" + std::to_string(i);
    ask({"SET", name, "v"});
    world.instance.disk().max_delay_us = 100 * kMs;
    world.redis.remove(key(name));
    world.users.done_by_stranger(key(name), one({"DEL", name}));
    world.users.ask(key(name), one({"GET", name}));
    for (int ms = 0; ms < 1000 && world.users.under_way() > 0; ++ms) world.pass(kMs);
    EXPECT_EQ(world.users.last_reply(), "nil");
    world.kill_stayd();
    world.instance.disk().be_fast();
    world.instance.start();
    world.settle();
    EXPECT_EQ(ask({"GET", name}), "nil") << i;
  }
}

// Seed 100383 of ten minutes: a touch had reached Redis when stayd was killed, and the session was
// over by what the ledger knew. It was told to be over, and came back when Redis was read.
TEST_F(Scenario, WhatWasToldToHaveEndedStaysSo) {
  ask({"SET", "k", "v1", "PX", "3000"});
  ask({"SET", "unasked", "v1", "PX", "3000"});
  world.pass(kSecond);
  world.instance.network().silent_to_client = true;
  world.users.ask(key("k"), one({"EXPIRE", "k", "100"}));
  world.users.ask(key("unasked"), one({"EXPIRE", "unasked", "100"}));
  world.pass(5 * kMs);
  world.kill_stayd();
  world.instance.network().speak();
  world.redis.flags.loading = true;
  world.pass(3 * kSecond);
  world.instance.start();
  EXPECT_EQ(ask({"GET", "k"}), "nil");
  world.redis.flags.loading = false;
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(ask({"GET", "k"}), "nil");
  EXPECT_EQ(ask({"GET", "unasked"}), "\"v1\"") << "nobody was told: the touch counts";
}

// Redis began to load, or to refuse all, just while the key was read back: its row was marked
// stale, and a session that the ledger knew was unknown.
TEST_F(Scenario, RedisRefusesWhileLeftoversAreRead) {
  int refused = 0;
  for (std::int64_t moment_us = 0; moment_us < 3 * kMs; moment_us += 50) {
    const std::string name = "k" + std::to_string(moment_us);
    ask({"SET", name, "v1"});
    world.pass(kSecond);
    world.instance.network().silent_to_client = true;
    world.users.ask(key(name), one({"SET", name, "v2"}));
    world.pass(5 * kMs);
    world.kill_stayd();
    world.instance.network().speak();
    world.instance.start();
    for (int i = 0; i < 1000 && !world.instance.status().shard.connected; ++i) world.pass(10);
    world.pass(moment_us);
    world.redis.flags.loading = true;
    world.pass(500 * kMs);
    refused += world.instance.status().shard.trust == Trust::out;
    EXPECT_EQ(ask({"GET", name})[0], '"') << moment_us;
    world.redis.flags.loading = false;
    world.settle();
    EXPECT_EQ(ask({"GET", name}), "\"v2\"");
  }
  EXPECT_GT(refused, 10);
}

// Keys too long for the in-flight table are marked first, and what was in doubt is undone.
TEST_F(Scenario, StaydDiesWithAWriteOfAVeryLongKey) {
  const std::string name(20'000, 'k');
  EXPECT_EQ(ask({"SET", name, "v1"}), "+OK");
  EXPECT_EQ(ask({"INCR", name + "n"}), ":1");
  EXPECT_EQ(ask({"INCR", name + "n"}), ":2");
  EXPECT_GE(world.instance.counters().unnoted_writes, 2U);
  world.instance.network().silent_to_client = true;
  world.users.ask(key(name), one({"SET", name, "v2"}));
  world.pass(5 * kMs);
  world.kill_stayd();
  world.instance.network().speak();
  world.instance.start();
  EXPECT_TRUE(world.heal_and_check());
  world.redis.kill();
  EXPECT_EQ(ask({"GET", name}), "\"v1\"");
  world.redis.start(0);
  EXPECT_TRUE(world.heal_and_check());
}

// At whatever moment the power goes: a logout that was acknowledged is on disk, and one that is not
// on disk has neither been acknowledged nor been shown to anybody.
TEST_F(Scenario, APowerCutTakesBackNoLogout) {
  int kept = 0;
  int lost = 0;
  for (int i = 0; i < 60; ++i) {
    const std::string name = "k" + std::to_string(i);
    const bool outage = i % 2 == 0;
    ask({"SET", name, "v"});
    ask({"DEL", "synced"});  // and all that stands before it
    if (outage) world.redis.kill();
    if (outage) world.pass(20 * kMs);
    world.users.ask(key(name), one({"DEL", name}));
    world.pass(i * 100);
    const std::size_t asked = world.users.under_way();
    world.users.ask(key(name), one({"GET", name}));
    world.pass(300);
    const bool told = asked == 0 || world.users.under_way() <= asked;
    world.kill_stayd();
    world.instance.disk().lose_power();
    const bool buried = world.instance.disk().rows().at(key(name)).meta.state == RowState::tomb;
    if (told) EXPECT_TRUE(buried) << i;
    ++(buried ? kept : lost);
    if (outage) world.redis.start(0);
    world.instance.start();
    world.settle();
    if (told) EXPECT_EQ(ask({"GET", name}), "nil") << i;
  }
  EXPECT_GT(kept, 5);
  EXPECT_GT(lost, 5);
}

// stayd stood still; a proxy moved its connection to a Redis that lacked the last write and still
// held the last heartbeat. The run id was the one of the gate, so the memory passed for intact.
TEST_F(Scenario, AProxyMovesToAnotherRedisWhileStaydStandsStill) {
  ask({"SET", "k", "v1"});
  world.pass(kSecond);
  const auto beats = world.instance.counters().canary_writes;
  for (int i = 0; i < 200 && world.instance.counters().canary_writes == beats; ++i)
    world.pass(5 * kMs);
  ask({"SET", "k", "v2"});
  world.instance.pause(4 * kSecond);
  world.pass(kSecond);
  world.redis.fail_over(1);
  ASSERT_EQ(world.redis.data().at(key("k")).value, Record{.value = "v1"}.value);
  world.pass(4 * kSecond);
  EXPECT_EQ(ask({"GET", "k"}), "\"v2\"");
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(ask({"GET", "k"}), "\"v2\"");
}

TEST_F(Scenario, OutOfMemory) {
  ask({"SET", "k", "v1"});
  world.redis.flags.no_memory = true;
  EXPECT_EQ(ask({"SET", "k", "v2"}), "+OK");
  EXPECT_EQ(ask({"SET", "new", "v1"}), "+OK");
  EXPECT_EQ(ask({"GET", "k"}), "\"v2\"");
  EXPECT_EQ(ask({"GET", "new"}), "\"v1\"");
  EXPECT_EQ(ask({"DEL", "k"}), ":1");
  world.redis.flags.no_memory = false;
  EXPECT_TRUE(world.heal_and_check());
}

TEST_F(Scenario, EvictedKeysAreStillThere) {
  ask({"SET", "k", "v1"});
  ask({"HSET", "h", "a", "1"});
  world.redis.evict(100);
  EXPECT_EQ(ask({"GET", "k"}), "\"v1\"");
  EXPECT_EQ(ask({"HSET", "h", "b", "1"}), ":1");
  EXPECT_EQ(ask({"HGETALL", "h"}), "{a=1 b=1 }");
  EXPECT_TRUE(world.heal_and_check());
}

// Seed 3167: a database that had just come into use had no heartbeat yet, and its absence counted
// as an intact one: a false logout.
TEST_F(Scenario, AFlushOfADatabaseWithoutAHeartbeatIsHealed) {
  world.pass(20 * kMs);
  const FullKey full = full_key(3, "k");
  world.users.ask(full, one({"SET", "k", "v1"}));
  world.pass(5 * kMs);
  world.redis.flush_all();
  world.users.ask(full, one({"GET", "k"}));
  wait();
  EXPECT_EQ(world.users.last_reply(), "\"v1\"");
  EXPECT_TRUE(world.heal_and_check());
}

TEST_F(Scenario, AFlushByAStrangerIsHealed) {
  ask({"SET", "k", "v1"});
  world.redis.flush_all();
  EXPECT_EQ(ask({"GET", "k"}), "\"v1\"");
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(world.redis.data().count(key("k")), 1U);
}

// Found by the exhaustive model: the first heartbeat of an emptied Redis was written after the
// repairs, so that a second FLUSHALL between the two looked like nothing, and its nil like a
// logout.
TEST_F(Scenario, AStrangerFlushesAgainWhileTheKeysArePutBack) {
  ask({"SET", "k", "v1"});
  world.redis.flush_all();
  world.users.ask(key("k"), one({"GET", "k"}));
  for (int i = 0; i < 10'000 && !world.redis.data().contains(key("k")); ++i) world.pass(1);
  ASSERT_TRUE(world.redis.data().contains(key("k")));
  world.redis.flush_all();
  world.settle();
  EXPECT_EQ(ask({"GET", "k"}), "\"v1\"");
  EXPECT_TRUE(world.heal_and_check());
}

// Found by the exhaustive model: a connection that ended before the heartbeats were read made its
// Redis "the process we know", and the next connection believed a memory that lacked the logout.
TEST_F(Scenario, AConnectionEndsBeforeARestartedRedisIsJudged) {
  ask({"SET", "k", "v1"});
  EXPECT_EQ(ask({"DEL", "k"}), ":1");
  world.redis.kill();
  world.redis.start(1);
  ASSERT_TRUE(world.redis.data().contains(key("k")));
  const auto trust = [this] { return world.instance.status().shard.trust; };
  for (int i = 0; i < 500'000 && trust() != Trust::out; ++i) world.pass(10);
  for (int i = 0; i < 500'000 && trust() != Trust::suspect; ++i) world.pass(10);
  for (unsigned i = 0; i < 2; ++i) world.instance.network().lose_one(i);
  world.settle();
  EXPECT_EQ(ask({"GET", "k"}), "nil");
  EXPECT_TRUE(world.heal_and_check());
}

TEST_F(Scenario, StaydDiesInTheMiddleOfAnOutage) {
  ask({"SET", "k", "v1"});
  ask({"SET", "gone", "v1"});
  world.redis.kill();
  world.pass(100 * kMs);
  EXPECT_EQ(ask({"SET", "k", "v2"}), "+OK");
  EXPECT_EQ(ask({"DEL", "gone"}), ":1");
  world.kill_stayd();
  world.instance.start();
  EXPECT_EQ(ask({"GET", "k"}), "\"v2\"");
  EXPECT_EQ(ask({"GET", "gone"}), "nil");
  world.redis.start(0);
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(ask({"GET", "k"}), "\"v2\"");
}

TEST_F(Scenario, RedisIsLoading) {
  ask({"SET", "k", "v1"});
  world.redis.flags.loading = true;
  EXPECT_EQ(ask({"GET", "k"}), "\"v1\"");
  EXPECT_EQ(ask({"SET", "k", "v2"}), "+OK");
  world.pass(2 * kSecond);
  EXPECT_EQ(ask({"GET", "k"}), "\"v2\"");
  world.redis.flags.loading = false;
  EXPECT_TRUE(world.heal_and_check());
}

}  // namespace
}  // namespace stayd::sim
