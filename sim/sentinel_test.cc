// Sentinels name the primary: the product's SentinelWatch and the modelled ones.
#include <algorithm>

#include "sim/scenario.h"

namespace stayd::sim {

class SentinelScenario : public Scenario {
 protected:
  SentinelScenario() : Scenario(options()) {}
  static WorldOptions options() {
    WorldOptions options = Scenario::options();
    options.found_by = FoundBy::sentinels;
    for (std::size_t i = 0; i < Sentinels::kCount; ++i) {
      options.instance.sentinels.push_back(Sentinels::endpoint(i));
    }
    return options;
  }
  Sentinels& sentinels() { return *world.servers.sentinels(); }
  std::string primary() const { return world.servers.endpoint(0).text(); }
  std::string followed() const { return world.instance.status().shard.address; }
  bool promoted(const std::string& before) {
    for (int i = 0; i < 300 && primary() == before; ++i) world.pass(100 * kMs);
    return primary() != before;
  }
};

TEST_F(SentinelScenario, ADeadPrimaryIsReplacedAndStaydFollows) {
  ask({"SET", "in", "v1"});
  ask({"SET", "out", "v1"});
  const std::string before = primary();
  EXPECT_EQ(followed(), before);
  world.redis.kill();
  EXPECT_EQ(ask({"DEL", "out"}), ":1");
  EXPECT_EQ(ask({"GET", "in"}), "\"v1\"");
  ASSERT_TRUE(promoted(before));
  world.settle();
  EXPECT_EQ(followed(), primary());
  EXPECT_EQ(ask({"GET", "in"}), "\"v1\"");
  EXPECT_FALSE(world.redis.data().contains(key("out")));
  EXPECT_TRUE(world.heal_and_check());
}

// It serves on, and takes what stayd does until a Sentinel tells of the other one.
TEST_F(SentinelScenario, AnOldPrimaryThatServesOnIsLeftWithoutLoss) {
  ask({"SET", "out", "v1"});
  const std::string before = primary();
  sentinels().cut_primary();
  for (std::size_t i = 1; i < Sentinels::kCount; ++i) sentinels()[i].cut = true;
  world.pass(10 * kSecond);
  EXPECT_EQ(primary(), before);  // one of three promotes nobody
  sentinels()[1].cut = false;
  ASSERT_TRUE(promoted(before));
  EXPECT_EQ(ask({"DEL", "out"}), ":1");
  EXPECT_EQ(ask({"SET", "new", "v1"}), "+OK");
  world.settle();
  EXPECT_EQ(followed(), primary());
  EXPECT_TRUE(world.servers.two_primaries());
  EXPECT_EQ(ask({"GET", "out"}), "nil");
  EXPECT_EQ(ask({"GET", "new"}), "\"v1\"");
  EXPECT_TRUE(world.redis.data().contains(key("new")));
  sentinels().join_primary();
  world.pass(15 * kSecond);  // demoted
  EXPECT_TRUE(world.servers.deposed(0)->flags.replica);
  EXPECT_TRUE(world.heal_and_check());
}

// The one that is cut off still names the primary of before, which still calls itself one.
TEST_F(SentinelScenario, AStaleSentinelIsNotBelieved) {
  sentinels()[0].cut = true;
  const std::string before = primary();
  ASSERT_TRUE(sentinels().fail_over());
  ASSERT_TRUE(promoted(before));
  world.pass(3 * kSecond);
  ASSERT_EQ(sentinels()[0].view.primary.text(), before);
  for (int i = 0; i < 50; ++i) {
    world.pass(100 * kMs);
    EXPECT_EQ(followed(), primary());
  }
  sentinels().heal();
  EXPECT_TRUE(world.heal_and_check());
}

TEST_F(SentinelScenario, SentinelsThatAreSetUpAnewAreFollowed) {
  for (int i = 0; i < 3; ++i) {
    const std::string before = primary();
    ASSERT_TRUE(sentinels().fail_over());
    ASSERT_TRUE(promoted(before));
    world.settle();
  }
  sentinels().set_up_anew();
  world.pass(5 * kSecond);
  const std::string before = primary();
  ASSERT_TRUE(sentinels().fail_over());
  ASSERT_TRUE(promoted(before));
  world.settle();
  EXPECT_EQ(followed(), primary());
  EXPECT_TRUE(world.heal_and_check());
}

}  // namespace stayd::sim
