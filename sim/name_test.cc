// The name of Redis moves: the product's NameDialer on the simulated network.
#include "sim/scenario.h"

namespace stayd::sim {

class NameScenario : public Scenario {
 protected:
  NameScenario() : Scenario(options()) {}
  static WorldOptions options() {
    WorldOptions options = Scenario::options();
    options.found_by = FoundBy::name;
    return options;
  }
  Names& names() { return *world.servers.names(); }
  RedisModel& promote(std::int64_t lag_us) {
    const std::int64_t seen_us = world.scheduler.now_us() - lag_us;
    return world.servers.promote(0, world.redis.changes_since(seen_us));
  }
  std::uint64_t moves() const { return world.instance.counters().name_moves; }
};

TEST_F(NameScenario, TheOldPrimaryServesOnAndIsLeft) {
  ask({"SET", "out", "v1"});
  ask({"SET", "in", "v1"});
  RedisModel& old = promote(10 * kMs);
  EXPECT_EQ(ask({"DEL", "out"}), ":1");
  EXPECT_EQ(ask({"SET", "new", "v1"}), "+OK");
  ASSERT_FALSE(world.redis.data().contains(key("new")));
  world.pass(27 * kSecond);  // the record's move, a TTL, and a watch of the name
  EXPECT_TRUE(old.listening());
  EXPECT_EQ(moves(), 1U);
  EXPECT_EQ(ask({"GET", "out"}), "nil");
  EXPECT_EQ(ask({"GET", "new"}), "\"v1\"");
  EXPECT_TRUE(world.redis.data().contains(key("new")));
  EXPECT_FALSE(world.redis.data().contains(key("out")));
  EXPECT_TRUE(world.heal_and_check());
}

TEST_F(NameScenario, ANameWithoutAnAnswerMovesNothing) {
  ask({"SET", "k", "v1"});
  names().become(Names::State::empty);
  world.pass(30 * kSecond);
  EXPECT_EQ(moves(), 0U);
  EXPECT_EQ(world.instance.counters().connect_failures, 0U);
  EXPECT_EQ(ask({"GET", "k"}), "\"v1\"");
  // A lost connection is made again by the last good answer.
  ASSERT_TRUE(world.instance.network().lose_one(0));
  world.settle();
  EXPECT_EQ(ask({"GET", "k"}), "\"v1\"");
  names().heal();
  EXPECT_TRUE(world.heal_and_check());
}

// All connections are to one address, whichever answer the one that was made last got.
TEST_F(NameScenario, ConnectionsAreToOneOfTwoPrimaries) {
  ask({"SET", "k", "v1"});
  RedisModel& old = promote(0);
  world.pass(6 * kSecond);
  names().alternate(true);
  for (unsigned i = 0; i < 20; ++i) {
    world.instance.network().lose_one(i);
    world.pass(700 * kMs);
    EXPECT_EQ(ask({"SET", "k", std::to_string(i)}), "+OK");
    EXPECT_EQ(ask({"GET", "k"}), "\"" + std::to_string(i) + "\"");
    const Network& network = world.instance.network();
    EXPECT_FALSE(network.talks_to(world.redis) && network.talks_to(old));
  }
  names().alternate(false);
  old.kill();
  EXPECT_TRUE(world.heal_and_check());
}

}  // namespace stayd::sim
