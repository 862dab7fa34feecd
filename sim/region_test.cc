// Another region's Redis is used, and the first one again (docs/adr/0015).
#include "sim/scenario.h"

namespace stayd::sim {

class RegionScenario : public Scenario {
 protected:
  void change_region() {
    world.redis.trade_places(world.servers.standby());
    world.instance.change_region(known_);
    known_ = true;
  }
  bool holds(const std::string& name) const { return world.redis.data().contains(key(name)); }

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

}  // namespace stayd::sim
