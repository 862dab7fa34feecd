// Two servers behind one address: a replica that lags is promoted, the old primary serves on.
#include "sim/scenario.h"

namespace stayd::sim {

TEST_F(Scenario, WhatTheOldPrimaryTookIsNotLost) {
  ask({"SET", "out", "v1"});
  ask({"SET", "in", "v1"});
  const auto behind = world.redis.changes_since(world.scheduler.now_us() - 10 * kMs);
  const auto old = world.redis.promote_replica(behind);
  EXPECT_EQ(ask({"DEL", "out"}), ":1");
  EXPECT_EQ(ask({"SET", "in", "v2"}), "+OK");
  EXPECT_EQ(ask({"SET", "new", "v1"}), "+OK");
  world.pass(3 * kSecond);  // heartbeats there too
  EXPECT_FALSE(old->data().contains(key("out")));
  EXPECT_FALSE(world.redis.data().contains(key("new")));
  old->kill();
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(ask({"GET", "out"}), "nil");
  EXPECT_EQ(ask({"GET", "in"}), "\"v2\"");
  EXPECT_EQ(ask({"GET", "new"}), "\"v1\"");
  EXPECT_TRUE(world.redis.data().contains(key("new")));
}

// One connection is lost while both serve: nothing of the new primary is believed beside the old.
TEST_F(Scenario, ConnectionsToTwoPrimaries) {
  std::vector<std::unique_ptr<RedisModel>> old_primaries;
  for (unsigned connection = 0; connection < 2; ++connection) {
    ask({"SET", "k", "v1"});
    old_primaries.push_back(world.redis.promote_replica(0));
    EXPECT_EQ(ask({"DEL", "k"}), ":1");
    ASSERT_TRUE(world.redis.data().contains(key("k")));
    ASSERT_TRUE(world.instance.network().lose_one(connection));
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(ask({"GET", "k"}), "nil");
      world.pass(50 * kMs);
    }
    old_primaries.back()->kill();
    world.settle();
    EXPECT_EQ(ask({"GET", "k"}), "nil");
    EXPECT_FALSE(world.redis.data().contains(key("k")));
  }
  EXPECT_TRUE(world.heal_and_check());
}

}  // namespace stayd::sim
