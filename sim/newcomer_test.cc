// Directed scenarios before the backfill has ended: what Redis has said is not unknown.
#include "sim/scenario.h"

namespace stayd::sim {
namespace {

// Before adoption had ended, a counter made during the gate's wait was taken for a stranger's once
// it had been written to Redis, and read back over its newer self.
TEST(Regression, ACounterMadeBeforeAdoptionEnded) {
  WorldOptions options;
  options.fill_redis = false;
  World world(options);
  const FullKey key = full_key(0, "k");
  for (int i = 0; i < 30; ++i) {
    world.users.ask(key, one({"INCR", "k"}));
    world.pass(20 * kMs);
  }
  EXPECT_TRUE(world.heal_and_check()) << world.report(key);
}

class Newcomer : public Scenario {
 protected:
  Newcomer() {
    world.redis.flags.no_scan = true;
    world.instance.restart_adoption();
    world.pass(kSecond);
    EXPECT_FALSE(world.instance.status().adoption_complete);
  }
  void outage() {
    world.redis.kill();
    world.pass(100 * kMs);
  }
  void fill_disk() {
    world.instance.disk().faults().inject(
        FaultyStore::Operation::apply,
        {.error = make_error(Errc::no_space, "ENOSPC"), .times = UINT64_MAX});
    world.instance.excuse(Excuse::unwritable, 10 * kSecond);
  }
};

TEST_F(Newcomer, AbsentStaysAbsent) {
  EXPECT_EQ(ask({"GET", "k"}), "nil");
  EXPECT_EQ(ask({"HGETALL", "h"}), "{}");
  EXPECT_EQ(ask({"EXISTS", "e"}), ":0");
  outage();
  EXPECT_EQ(ask({"GET", "k"}), "nil");
  EXPECT_EQ(ask({"HGETALL", "h"}), "{}");
  EXPECT_EQ(ask({"EXISTS", "e"}), ":0");
  EXPECT_EQ(ask({"GET", "never asked for"})[0], '-');
}

TEST_F(Newcomer, WhatWasWrittenSinceIsThere) {
  EXPECT_EQ(ask({"GET", "k"}), "nil");
  EXPECT_EQ(ask({"SET", "k", "v1"}), "+OK");
  outage();
  EXPECT_EQ(ask({"GET", "k"}), "\"v1\"");
}

// SET .. XX of a session that Redis holds was told nil in the outage, SET .. GET too: "logged out".
TEST_F(Newcomer, WhatTellsWhetherAKeyWasThereIsUnknown) {
  world.redis.put(key("k"), Record{.value = "there"});
  outage();
  EXPECT_EQ(ask({"SET", "k", "v1", "XX"})[0], '-');
  EXPECT_EQ(ask({"SET", "k", "v1", "GET"})[0], '-');
  EXPECT_EQ(ask({"SET", "lock", "mine", "NX", "PX", "30000"}), "+OK");  // may go ahead
  world.redis.start(0);
  world.settle();
  EXPECT_EQ(std::get<std::string>(world.redis.data().at(key("k")).value), "there");
}

// A session created before Redis could be asked stood in Redis with its confirmation lost. Taken
// for a stranger's it came back over what had been written since, and over a logout.
TEST_F(Newcomer, ASessionOfOursIsNoStrangers) {
  for (const bool logged_out : {false, true}) {
    const std::string name = logged_out ? "a" : "b";
    outage();
    EXPECT_EQ(ask({"HSET", name, "f", "1"}), ":1");
    world.redis.start(0);
    const auto placed = [&] { return world.redis.data().contains(key(name)); };
    for (int i = 0; i < 3'000'000 && !placed(); ++i) world.pass(10);
    ASSERT_TRUE(placed());
    world.redis.kill();  // before the reply is there
    world.pass(100 * kMs);
    if (logged_out) EXPECT_EQ(ask({"DEL", name}), ":1");
    EXPECT_EQ(ask({"HSET", name, "g", "2"}), ":1");
    world.redis.start(0);
    world.redis.flags.no_scan = false;
    EXPECT_TRUE(world.heal_and_check());
    EXPECT_EQ(ask({"HGETALL", name}), logged_out ? "{g=2 }" : "{f=1 g=2 }");
    world.redis.flags.no_scan = true;
    world.instance.restart_adoption();
    world.pass(kSecond);
  }
}

// A counter made in an outage was in Redis, and stayd was killed before it knew: its own value
// passed for a stranger's, and newer ones gave way to it.
TEST_F(Newcomer, WhatIsInRedisOnceIsOurs) {
  outage();
  EXPECT_EQ(ask({"INCR", "k"}), ":1");
  world.redis.start(0);
  for (int i = 0; i < 4000 && !world.redis.data().contains(key("k")); ++i) world.pass(kMs / 4);
  ASSERT_TRUE(world.redis.data().contains(key("k")));
  world.kill_stayd();
  world.redis.kill();
  world.instance.start();
  world.pass(100 * kMs);
  EXPECT_EQ(ask({"INCR", "k"}), ":2");
  world.redis.start(0);
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(ask({"GET", "k"}), "\"2\"");
}

// The ledger took none of what Redis held, and the backfill passed for complete: in the next outage
// no row was proof that nobody has the key.
TEST_F(Newcomer, AdoptionIsNotOverWhileTheLedgerRefuses) {
  world.users.done_by_stranger(key("k"), {.commands = {{"SET", "k", "there"}}});
  world.redis.put(key("k"), Record{.value = "there"});
  fill_disk();
  world.redis.flags.no_scan = false;
  world.pass(200 * kMs);
  world.redis.flags.no_scan = true;
  world.pass(100 * kMs);
  EXPECT_FALSE(world.instance.status().adoption_complete);
  world.instance.disk().faults().heal();
  world.redis.flags.no_scan = false;
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_TRUE(world.instance.status().adoption_complete);
  outage();
  EXPECT_EQ(ask({"GET", "k"}), "\"there\"");
}

// As WhatIsInRedisOnceIsOurs, but the ledger could not be told: then Redis is not either.
TEST_F(Newcomer, NothingIsPlacedBeforeTheLedgerKnows) {
  outage();
  EXPECT_EQ(ask({"INCR", "k"}), ":1");
  fill_disk();
  world.redis.start(0);
  world.pass(3 * kSecond);
  EXPECT_FALSE(world.redis.data().contains(key("k")));
  world.instance.disk().faults().heal();
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_TRUE(world.redis.data().contains(key("k")));
}

}  // namespace
}  // namespace stayd::sim
