// Another region's Redis is used, and the first one again (docs/adr/0015).
#include "sim/scenario.h"

namespace stayd::sim {

class RegionScenario : public Scenario {
 protected:
  RegionScenario() : Scenario(options()) {}
  static WorldOptions options() {
    WorldOptions options = Scenario::options();
    options.instance.engine.region = kFirstRegion;
    return options;
  }
  void change_region() {
    world.redis.trade_places(world.servers.standby());
    world.instance.change_region(known_);
    known_ = true;
  }
  bool holds(const std::string& name) const { return world.redis.data().contains(key(name)); }
  void fill_disk() {
    world.instance.disk().faults().inject(
        FaultyStore::Operation::apply,
        {.error = {Errc::no_space, "no space left on device"}, .times = UINT64_MAX});
    world.instance.excuse(Excuse::unwritable, 10 * kSecond);
  }
  void empty_disk() { world.instance.disk().faults().heal(); }
  // What a write that the ledger does not know changes: nothing, a session that is out, one that
  // has expired, one that lives, and one that lives and that the other one has evicted.
  void prepare_missed_writes() {
    ask({"SET", "evicted", "v1"});
    change_region();
    world.settle();
    world.pass(kSecond);
    change_region();
    world.servers.standby().evict_one(key("evicted"));
    ask({"SET", "out", "v1"});
    ask({"DEL", "out"});
    ask({"SET", "lives", "v1"});
    ask({"SET", "ends", "v1", "PX", "1200"});
    world.settle();
    world.pass(kSecond);  // a heartbeat vouches for all that
  }
  // The one in use has what the ledger lacks; what another one is asked about it counts from then
  // on, for the first one too.
  void expect_known_values() {
    world.settle();
    change_region();
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(ask({"GET", "new"}), "nil");
      EXPECT_EQ(ask({"GET", "out"}), "nil");
      EXPECT_EQ(ask({"GET", "ends"}), "nil");
      EXPECT_EQ(ask({"GET", "lives"}), "\"v1\"");
      EXPECT_EQ(ask({"GET", "evicted"}), "\"v1\"");
      world.settle();
      EXPECT_FALSE(holds("new") || holds("out") || holds("ends"));
    }
    EXPECT_TRUE(world.heal_and_check());
  }

 private:
  bool known_ = false;
};

TEST_F(RegionScenario, WhatLivesLivesOnAndWhatIsOutStaysOutThereAndBack) {
  ask({"SET", "stays", "v1"});
  ask({"SET", "leaves", "v1"});
  ask({"SET", "changes", "v1"});
  change_region();
  EXPECT_EQ(ask({"GET", "stays"}), "\"v1\"");
  world.settle();
  EXPECT_TRUE(holds("stays"));
  EXPECT_EQ(ask({"DEL", "leaves"}), ":1");
  EXPECT_EQ(ask({"SET", "changes", "v2"}), "+OK");
  EXPECT_EQ(ask({"SET", "comes", "v1"}), "+OK");
  change_region();  // it still has what it had
  ASSERT_TRUE(holds("leaves"));
  EXPECT_EQ(ask({"GET", "leaves"}), "nil");
  EXPECT_EQ(ask({"GET", "changes"}), "\"v2\"");
  world.settle();
  EXPECT_FALSE(holds("leaves"));
  EXPECT_TRUE(holds("comes"));
  EXPECT_EQ(ask({"GET", "changes"}), "\"v2\"");
  EXPECT_TRUE(world.heal_and_check());
}

// Its keys are in the ledger before it can be lost, and what it alone has counts.
TEST_F(RegionScenario, TheOtherOneIsTakenOverWhenItIsNew) {
  Record record;
  record.value = "theirs";
  world.servers.standby().put(key("only-there"), record);
  world.users.history(key("only-there")).start_with({.record = record});
  change_region();
  world.settle();
  world.redis.kill();
  EXPECT_EQ(ask({"GET", "only-there"}), "\"theirs\"");
  world.redis.start(0);
  EXPECT_TRUE(world.heal_and_check());
}

// What was evicted there while nobody looked is no logout.
TEST_F(RegionScenario, WhatIsEvictedWhileItIsNotUsedComesBack) {
  ask({"SET", "k", "v1"});
  world.pass(kSecond);  // a heartbeat vouches for it
  change_region();
  world.settle();
  world.servers.standby().evict_one(key("k"));
  change_region();
  world.settle();
  ASSERT_FALSE(holds("k"));
  EXPECT_EQ(ask({"GET", "k"}), "\"v1\"");
  EXPECT_TRUE(world.heal_and_check());
}

// The other one did not have what the ledger could not take, and nobody was told so but by a
// version of before: back in the first one such sessions were there again, without a row, or over
// the tombstone of an earlier logout (seed 219).
TEST_F(RegionScenario, WhatTheLedgerHasMissedIsGivenUpEverywhere) {
  prepare_missed_writes();
  fill_disk();
  for (const char* name : {"new", "out", "ends", "lives", "evicted"}) {
    EXPECT_EQ(ask({"SET", name, "v2", "EX", "100"}), "+OK");
  }
  world.pass(kSecond);
  change_region();
  empty_disk();
  expect_known_values();
}

// The same after kill -9, when the next life asks another one what has become of them.
TEST_F(RegionScenario, WhatAKillLeftIsGivenUpEverywhere) {
  prepare_missed_writes();
  fill_disk();
  for (const char* name : {"new", "out", "ends", "lives", "evicted"}) {
    EXPECT_EQ(ask({"SET", name, "v2", "EX", "100"}), "+OK");
  }
  world.kill_stayd();
  empty_disk();
  world.pass(kSecond);
  world.instance.start();
  change_region();
  expect_known_values();
}

// A heartbeat of before told of versions that the ledger had lost with the power, and was believed,
// as stayd had begun its life in the other one: an older session counted in the ledger, a newer one
// in Redis (seed 263).
TEST_F(RegionScenario, ALedgerThatHasLostItsEndElsewhere) {
  change_region();
  world.settle();
  world.pass(kSecond);
  change_region();
  ask({"SET", "k", "v1"});
  world.settle();
  world.pass(kSecond);
  world.instance.disk().lies = true;
  world.users.loosen(key("k"), "checked here");
  for (int i = 2; i < 40; ++i) ask({"SET", "k", "v" + std::to_string(i)});
  world.pass(kSecond);  // a heartbeat vouches for them
  change_region();
  world.cut_power();
  world.instance.disk().lies = false;
  world.instance.start();
  world.settle();
  const std::string known = ask({"GET", "k"});
  ASSERT_NE(known, "\"v39\"");
  change_region();
  EXPECT_EQ(ask({"GET", "k"}), known);
  world.settle();
  EXPECT_EQ(ask({"GET", "k"}), known);
  EXPECT_TRUE(world.heal_and_check());
}

// A tombstone that only overwrites is no logout: the session's next save is none of a dead one.
TEST_F(RegionScenario, WhatIsGivenUpIsNotFenced) {
  fill_disk();
  EXPECT_EQ(ask({"SET", "fenced:1", "v1", "EX", "100"}), "+OK");
  world.kill_stayd();
  empty_disk();
  world.instance.start();
  change_region();
  world.settle();
  ASSERT_EQ(world.instance.disk().rows().at(key("fenced:1")).meta.state, RowState::tomb);
  EXPECT_EQ(ask({"SET", "fenced:1", "v2", "EX", "100"}), "+OK");
  EXPECT_EQ(ask({"GET", "fenced:1"}), "\"v2\"");
  EXPECT_TRUE(world.heal_and_check());
}

}  // namespace stayd::sim
