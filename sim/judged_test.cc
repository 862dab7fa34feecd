// Directed scenarios: whose memory a reply, or a proof, comes from. Found by seeds of ten minutes.
#include "core/canary.h"
#include "core/side_keys.h"
#include "sim/scenario.h"

namespace stayd::sim {

// A counter's reply came from a Redis that a proxy had moved to, and that lacked the last ones: it
// was told and recorded, as the connection was the same.
TEST_F(Scenario, WhatDependsOnAnotherMemoryIsDoneAnew) {
  int count = 0;
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(ask({"INCR", "n"}), ":" + std::to_string(++count));
    }
    const auto behind = world.redis.changes_since(world.scheduler.now_us() - 2 * kMs);
    world.users.ask(key("n"), one({"INCR", "n"}));
    world.instance.pause(4 * kSecond);
    world.redis.fail_over(behind);
    world.pass(5 * kSecond);
    wait();
    EXPECT_EQ(world.users.last_reply(), ":" + std::to_string(++count));
    EXPECT_TRUE(world.heal_and_check());
  }
}

// The same for a slow write, which goes over the second connection.
TEST_F(Scenario, ASlowWriteOfAnotherMemoryIsDoneAnew) {
  for (const char* name : {"a", "both"}) world.users.loosen(key(name), "a set");
  ask({"SADD", "a", "x"});
  world.pass(kSecond);
  const auto before_us = world.scheduler.now_us();
  ask({"SADD", "a", "y"});
  world.users.ask(key("both"), one({"SUNIONSTORE", "both", "a"}));
  world.instance.pause(4 * kSecond);
  world.redis.fail_over(world.redis.changes_since(before_us));
  world.pass(5 * kSecond);
  wait();
  EXPECT_EQ(world.users.last_reply(), ":2");
}

// What a reconcile had repaired was in another Redis when stayd went on, and passed for done.
TEST_F(Scenario, AReconcileThatStoodStillStartsOver) {
  ask({"SET", "k", "v1"});
  world.pass(kSecond);
  world.redis.kill();
  world.pass(100 * kMs);
  EXPECT_EQ(ask({"SET", "k", "v2"}), "+OK");
  const auto before = world.scheduler.now_us();
  world.redis.start(0);
  const auto repaired = [this] {
    return world.redis.data().at(key("k")).value == Record{.value = "v2"}.value;
  };
  for (int i = 0; i < 4000 && !repaired(); ++i) world.pass(kMs);
  ASSERT_TRUE(repaired());
  ASSERT_NE(world.instance.status().shard.trust, Trust::trusted);
  world.instance.pause(4 * kSecond);
  world.pass(kSecond);
  world.redis.fail_over(world.redis.changes_since(before));
  ASSERT_FALSE(repaired());
  world.pass(4 * kSecond);
  EXPECT_EQ(ask({"GET", "k"}), "\"v2\"");
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_TRUE(repaired());
}

// Redis had evicted something, and nobody had asked since: a session that was written later, and
// removed past stayd, counted as evicted, and was back.
TEST_F(Scenario, EvictionsOfBeforeProveNothing) {
  ask({"SET", "other", "v"});
  world.redis.evict_one(key("other"));
  world.pass(3 * kSecond);
  ask({"SET", "k", "v"});
  world.users.done_by_stranger(key("k"), {.commands = {{"DEL", "k"}}});
  world.redis.remove(key("k"));
  EXPECT_EQ(ask({"GET", "k"}), "nil");
}

// A late save was the first to find that its session had been removed past stayd.
TEST_F(Scenario, ALateSaveAfterAStrangersDeletionIsFenced) {
  EXPECT_EQ(ask({"SET", "fenced:1", "v1", "NX"}), "+OK");
  world.users.done_by_stranger(key("fenced:1"), {.commands = {{"DEL", "fenced:1"}}});
  world.redis.remove(key("fenced:1"));
  world.users.loosen(key("fenced:1"), "checked here");
  EXPECT_EQ(ask({"SET", "fenced:1", "late"}), "+OK");
  EXPECT_EQ(ask({"GET", "fenced:1"}), "nil");
}

// A read was being checked, or a heartbeat was on its way, when a client flushed the database: the
// heartbeat of before was not the last one written any more, and Redis not believed.
TEST_F(Scenario, AFlushThroughStaydIsNoLossOfMemory) {
  const auto before = world.instance.counters().shard_trusted;
  for (int i = 0; i < 60; ++i) {
    ask({"SET", "k", "v"});
    world.redis.remove(key("k"));
    world.users.done_by_stranger(key("k"), {.commands = {{"DEL", "k"}}});
    world.users.ask(key("k"), one({"GET", "k"}));
    world.pass(20 * i);
    world.users.ask(key("flushed"), one({"FLUSHDB"}), 1);
    wait();
    EXPECT_EQ(world.instance.status().shard.trust, Trust::trusted);
  }
  world.pass(3 * kSecond);
  EXPECT_EQ(world.instance.counters().shard_trusted, before);
}

// Redis was emptied after the first command in a database and before its first heartbeat: that was
// written into the empty memory, and vouched for the session that it had lost (seed 513832).
TEST_F(Scenario, ADatabaseThatIsEmptiedBeforeItsFirstHeartbeat) {
  const FullKey session = full_key(3, "k");
  world.users.ask(session, one({"SET", "k", "v"}));
  wait();
  world.redis.flush_all();
  world.pass(kSecond);
  world.settle();
  world.users.ask(session, one({"GET", "k"}));
  wait();
  EXPECT_EQ(world.users.last_reply(), "\"v\"");
  EXPECT_TRUE(world.heal_and_check());
}

// Two calls gave each other the way when the ledger had answered, and nobody tried them again
// before the next command of anybody: for more than a second (seed 440877).
TEST_F(Scenario, CallsThatTheLedgerFreesAreTried) {
  for (int i = 0; i < 20; ++i) {
    const std::string name = "k" + std::to_string(i);
    ask({"SET", name, "v"});
    world.redis.evict_one(key(name));
    world.instance.disk().max_delay_us = 20 * kMs;
    world.users.ask(key(name), one({"GET", name}));
    world.users.ask(key(name), one({"EXPIRE", name, "3600"}));
    world.pass(kMs);
    world.redis.kill();
    world.pass(200 * kMs);
    EXPECT_EQ(world.users.under_way(), 0U) << i;
    world.instance.disk().be_fast();
    world.redis.start(0);
    world.settle();
    world.pass(11 * kSecond);  // or it counts as flapping
  }
  EXPECT_TRUE(world.heal_and_check());
}

// A write stood behind one that was to be done anew, as trust had been lost in between: what Redis
// was asked for on its account held the first one already, which then found itself (seed 128).
TEST_F(Scenario, AWriteBehindOneThatIsDoneAnew) {
  const FullKey canary = full_key(0, canary_key({}, world.instance.disk().fact("instance")));
  for (int i = 0; i < 100; ++i) {
    const std::string name = "spring:" + std::to_string(i);
    world.settle();
    world.pass(50 * kMs);
    const auto beat = Canary::parse(std::get<std::string>(world.redis.data().at(canary).value));
    const std::int64_t next_us = (beat->wall_ms + 398) * 1000 + i * 100;
    world.pass(next_us - world.scheduler.wall_ms() * 1000);
    world.redis.evict_one(canary);
    world.users.ask(key(name), one({"HSET", name, "f", "v"}));
    world.users.ask(key(name), one({"EXPIRE", name, "3600"}));
    wait();
    world.pass(kSecond);
  }
  EXPECT_TRUE(world.heal_and_check());
}

}  // namespace stayd::sim
