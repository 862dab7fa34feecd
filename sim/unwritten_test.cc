// Directed scenarios in which the ledger takes nothing for a while, the disk is full: what it has
// missed logs nobody out, and lets nobody back in.
#include "sim/scenario.h"

namespace stayd::sim {
namespace {

class Unwritten : public Scenario {
 protected:
  void fill_disk() {
    world.instance.disk().faults().inject(
        FaultyStore::Operation::apply,
        {.error = {Errc::no_space, "no space left on device"}, .times = UINT64_MAX});
    world.instance.excuse(Excuse::unwritable, 10 * kSecond);
  }
  void empty_disk() { world.instance.disk().faults().heal(); }
};

// A logout that stood in memory was no tombstone that a reconcile could find: a Redis that came
// back from before it was trusted with the session (seed 366).
TEST_F(Unwritten, ALogoutInMemoryIsReplayed) {
  ask({"SET", "k", "v"});
  world.pass(kSecond);
  fill_disk();
  const std::int64_t before_us = world.scheduler.now_us();
  EXPECT_EQ(ask({"DEL", "k"}), ":1");
  restart_redis(world.redis.changes_since(before_us));
  ASSERT_TRUE(world.redis.data().contains(key("k")));
  for (int i = 0; i < 300; ++i) {
    world.pass(5 * kMs);
    if (i == 200) empty_disk();
    EXPECT_EQ(ask({"GET", "k"}), "nil") << i;
  }
  EXPECT_TRUE(world.heal_and_check());
}

// A write that the ledger could not take was forgotten with the process that had done it: after
// kill -9 the next outage showed nobody (seed 86).
TEST_F(Unwritten, WhatWasMissedIsReadBackInTheNextLife) {
  ask({"SET", "changed", "1"});
  ask({"SET", "created", "0"});
  ask({"DEL", "created"});
  world.pass(kSecond);
  fill_disk();
  EXPECT_EQ(ask({"SET", "changed", "2"}), "+OK");
  EXPECT_EQ(ask({"SET", "created", "1"}), "+OK");
  world.kill_stayd();
  empty_disk();
  world.instance.start();
  world.settle();
  world.redis.kill();
  EXPECT_EQ(ask({"GET", "changed"}), "\"2\"");
  EXPECT_EQ(ask({"GET", "created"}), "\"1\"");
  world.redis.start(0);
  EXPECT_TRUE(world.heal_and_check());
}

// The row could not be marked, nor could what stood in it be told from its mark: a script ran on a
// key that Redis had evicted, as if there were none (seed 631).
TEST_F(Unwritten, AScriptOnAnEvictedKey) {
  ask({"SET", "k", "a"});
  fill_disk();
  world.redis.evict_one(key("k"));
  ask({"EVAL", "return redis.call('append',KEYS[1],ARGV[1])", "1", "k", "b"});
  EXPECT_EQ(world.users.last_reply(), ":2");
  empty_disk();
  world.settle();
  EXPECT_EQ(ask({"GET", "k"}), "\"ab\"");
  EXPECT_TRUE(world.heal_and_check());
}

// Somebody had deleted the key, a client was told so, and the ledger could not take it: the next
// outage showed the session again.
TEST_F(Unwritten, ADeletionPastStaydThatTheLedgerCannotTake) {
  ask({"SET", "k", "v"});
  fill_disk();
  world.redis.remove(key("k"));
  world.users.in_doubt(key("k"), {.commands = {{"DEL", "k"}}});
  EXPECT_EQ(ask({"GET", "k"}), "nil");
  world.redis.kill();
  EXPECT_EQ(ask({"GET", "k"}), "nil");
  empty_disk();
  world.redis.start(0);
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(ask({"GET", "k"}), "nil");
}

// The key was evicted, and nobody had asked since: Redis' nil to the read-back counted as a
// removal.
TEST_F(Unwritten, AnEvictionThatNobodyHasNoticed) {
  ask({"SET", "k", "v"});
  fill_disk();
  EXPECT_EQ(ask({"SET", "k", "v"}), "+OK");
  world.redis.evict_one(key("k"));
  empty_disk();
  world.settle();
  EXPECT_EQ(ask({"GET", "k"}), "\"v\"");
  EXPECT_TRUE(world.heal_and_check());
}

// A write that Redis did after its connection was given up, while the ledger took nothing: an error
// told the client that nobody knows, and with a kill -9 nobody ever asked Redis. In the next outage
// the value of before was back, a lock was given twice (seeds 410648, 512925, 513751).
TEST_F(Unwritten, AWriteInDoubtIsReadBack) {
  int done = 0;
  for (int i = 0; i < 12; ++i) {
    const std::string name = "k" + std::to_string(i);
    ask({"SET", name, "v"});
    world.pass(kSecond);
    fill_disk();
    world.redis.freeze();
    ask({"SET", name, "w"});
    EXPECT_EQ(world.users.last_reply()[0], '-');
    EXPECT_EQ(ask({"GET", name}), "\"v\"");
    world.kill_stayd();
    world.redis.thaw();
    world.pass(kSecond);
    empty_disk();
    world.instance.start();
    world.settle();
    const bool in_redis = world.redis.data().at(key(name)).value == Record{.value = "w"}.value;
    done += in_redis;
    world.redis.kill();
    EXPECT_EQ(ask({"GET", name}), in_redis ? "\"w\"" : "\"v\"");
    world.redis.start(0);
    world.settle();
    world.pass(11 * kSecond);  // or it counts as flapping
  }
  EXPECT_GT(done, 0);
  EXPECT_TRUE(world.heal_and_check());
}

// Redis had become the truth, since the ledger had lost its end: a logout of this life that stood
// in memory only was forgotten, although nobody but stayd could know of it (seed 400586).
TEST_F(Unwritten, ALogoutInMemoryOutlivesTheTruth) {
  ask({"SET", "k", "v"});
  world.pass(kSecond);
  world.instance.disk().lies = true;
  for (int i = 0; i < 20; ++i) ask({"SET", "last", std::to_string(i)});
  world.pass(kSecond);
  world.cut_power();
  ASSERT_TRUE(world.redis.data().contains(key("k")));
  world.redis.freeze();
  fill_disk();
  world.instance.start();
  EXPECT_EQ(ask({"DEL", "k"}), ":1");
  world.redis.thaw();
  world.pass(kSecond);
  ASSERT_NE(world.truth_us, 0);
  empty_disk();
  world.settle();
  EXPECT_EQ(ask({"GET", "k"}), "nil");
  EXPECT_FALSE(world.redis.data().contains(key("k")));
}

}  // namespace
}  // namespace stayd::sim
