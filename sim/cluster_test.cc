// A Redis Cluster: one engine for each shard over one ledger (docs/adr/0012), through failovers,
// slots that move, and kills in the midst of that.
#include "sim/scenario.h"

namespace stayd::sim {
namespace {

WorldOptions cluster_options() {
  WorldOptions options;
  options.found_by = FoundBy::cluster;
  options.shards = 2;
  options.faults = false;
  options.fill_redis = false;
  options.users.sessions = 0;
  return options;
}

class ACluster : public ::testing::Test {
 protected:
  explicit ACluster(WorldOptions options = cluster_options()) : world(std::move(options)) {
    world.settle();
  }
  ~ACluster() override { EXPECT_FALSE(world.users.failed()) << world.report(); }

  // The `number`th key of a shard.
  FullKey key_of_shard(std::size_t shard, int number = 0) const {
    for (int i = 0;; ++i) {
      const FullKey key = full_key(0, "k" + std::to_string(i));
      if (world.servers.shard_of(key) == shard && number-- == 0) return key;
    }
  }
  std::string ask(const FullKey& key, Words words) {
    words.insert(words.begin() + 1, std::string(key_of(key)));
    world.users.ask(key, one(std::move(words)));
    for (int i = 0; i < 200 && world.users.under_way() > 0; ++i) world.pass(5 * kMs);
    EXPECT_EQ(world.users.under_way(), 0U);
    return world.users.last_reply();
  }
  // What is missing has not been evicted, a new process says so too.
  void evict_nothing() {
    world.servers[0].may_evict = world.servers[1].may_evict = false;
    for (int i = 0; i < 8; ++i) world.instance.network().lose_one(0);
    world.pass(kSecond);
    world.settle();
  }
  bool move_everything(std::size_t from, std::size_t to) {
    return world.servers.move_slots(from, to, SlotSet().set(), 1, kMs);
  }
  void wait_until_moved() {
    while (world.servers.moving()) world.pass(kMs);
  }

  World world;
  const FullKey here = key_of_shard(0), there = key_of_shard(1);
};

TEST_F(ACluster, EachShardServesItsSlots) {
  EXPECT_EQ(ask(here, {"SET", "a"}), "+OK");
  EXPECT_EQ(ask(there, {"SET", "b"}), "+OK");
  EXPECT_TRUE(world.servers[0].data().contains(here));
  EXPECT_TRUE(world.servers[1].data().contains(there));
  EXPECT_EQ(ask(here, {"GET"}), "\"a\"");
  EXPECT_EQ(ask(there, {"GET"}), "\"b\"");
}

TEST_F(ACluster, AShardThatIsOutConcernsItsOwnKeysOnly) {
  ask(here, {"SET", "a"});
  ask(there, {"SET", "b"});
  world.servers[0].kill();
  world.pass(100 * kMs);
  EXPECT_EQ(ask(here, {"GET"}), "\"a\"");
  EXPECT_EQ(ask(here, {"SET", "c"}), "+OK");
  EXPECT_EQ(world.instance.status_of(there).shard.trust, Trust::trusted);
  EXPECT_EQ(ask(there, {"DEL"}), ":1");
  EXPECT_FALSE(world.servers[1].data().contains(there));
  world.servers[0].start(0);
  world.settle();
  EXPECT_EQ(ask(here, {"GET"}), "\"c\"");
  EXPECT_TRUE(world.heal_and_check());
}

// The replica lacks the last seconds, and is at another address.
TEST_F(ACluster, AFailoverLosesNothing) {
  ask(here, {"SET", "v1"});
  ask(there, {"SET", "w1"});
  const FullKey logged_out = key_of_shard(0, 1);
  ask(logged_out, {"SET", "v"});
  world.pass(3 * kSecond);
  const std::int64_t seen_us = world.scheduler.now_us();
  ask(here, {"SET", "v2"});
  EXPECT_EQ(ask(logged_out, {"DEL"}), ":1");
  world.servers.promote(0, world.servers[0].changes_since(seen_us)).kill();
  EXPECT_TRUE(world.servers[0].data().contains(logged_out));
  EXPECT_EQ(ask(here, {"GET"}), "\"v2\"");
  EXPECT_EQ(ask(logged_out, {"GET"}), "nil");
  world.settle();
  EXPECT_FALSE(world.servers[0].data().contains(logged_out));
  EXPECT_EQ(ask(here, {"GET"}), "\"v2\"");
  EXPECT_TRUE(world.heal_and_check());
}

// What the ledger knows of a shard that is out went with what another one had lost in a power cut:
// its logouts came back, and its sessions were logged out.
TEST_F(ACluster, ALedgerThatLostItsEndStartsAnewForTheShardThatTells) {
  const FullKey logged_out = key_of_shard(0, 1);
  ask(here, {"SET", "a"});
  ask(logged_out, {"SET", "v"});
  ask(there, {"SET", "b"});
  world.pass(2 * kSecond);
  world.servers[0].kill();
  world.pass(100 * kMs);
  EXPECT_EQ(ask(logged_out, {"DEL"}), ":1");
  world.pass(kSecond);
  world.instance.disk().sync_interval_us = 10 * kSecond;
  for (int i = 0; i < 20; ++i) ask(key_of_shard(1, i), {"SET", "c"});
  world.pass(2 * kSecond);  // a heartbeat tells of them
  world.cut_power();
  world.instance.start();
  world.pass(kSecond);
  ASSERT_NE(world.truth_us, 0);
  EXPECT_EQ(ask(here, {"GET"}), "\"a\"");
  EXPECT_EQ(ask(logged_out, {"GET"}), "nil");
  world.servers[0].start(0);
  world.settle();
  EXPECT_EQ(ask(logged_out, {"GET"}), "nil");
  EXPECT_TRUE(world.heal_and_check());
}

TEST_F(ACluster, KeysMoveWithTheirSlots) {
  ask(here, {"SET", "v1"});
  ASSERT_TRUE(move_everything(0, 1));
  EXPECT_EQ(ask(here, {"SET", "v2"}), "+OK");
  wait_until_moved();
  EXPECT_EQ(ask(here, {"GET"}), "\"v2\"");
  world.settle();
  EXPECT_EQ(world.instance.status().shards.size(), 1U);
  EXPECT_EQ(ask(here, {"GET"}), "\"v2\"");
  EXPECT_EQ(ask(here, {"DEL"}), ":1");
  EXPECT_TRUE(world.heal_and_check());
}

// The heartbeat that the new primary has vouches for what it had before the slots came: their keys
// were written long before it, and are lost all the same.
TEST_F(ACluster, AFailoverRightAfterSlotsCameLogsNobodyOut) {
  evict_nothing();
  ask(here, {"SET", "v"});
  world.pass(3 * kSecond);
  const std::int64_t seen_us = world.scheduler.now_us();
  ASSERT_TRUE(move_everything(0, 1));
  wait_until_moved();
  world.settle();
  ASSERT_TRUE(world.servers[1].data().contains(here));
  world.servers.promote(1, world.servers[1].changes_since(seen_us)).kill();
  ASSERT_FALSE(world.servers[1].data().contains(here));
  world.settle();
  EXPECT_EQ(ask(here, {"GET"}), "\"v\"");
  EXPECT_TRUE(world.servers[1].data().contains(here));
  EXPECT_TRUE(world.heal_and_check());
}

// Part of the slots: the shard's heartbeat stays under its name.
TEST_F(ACluster, AFailoverRightAfterSomeSlotsCameLogsNobodyOut) {
  evict_nothing();
  ask(here, {"SET", "v"});
  world.pass(3 * kSecond);
  const std::int64_t seen_us = world.scheduler.now_us();
  SlotSet slot;
  slot.set(slot_of(key_of(here)));
  ASSERT_TRUE(world.servers.move_slots(0, 1, slot, 1, kMs));
  wait_until_moved();
  world.settle();
  world.servers.promote(1, world.servers[1].changes_since(seen_us)).kill();
  world.kill_stayd();  // it is durable
  world.instance.start();
  world.settle();
  EXPECT_EQ(ask(here, {"GET"}), "\"v\"");
  EXPECT_TRUE(world.heal_and_check());
}

// Each shard counts its evictions by itself: the row tells how many there were elsewhere.
TEST_F(ACluster, WhatIsEvictedAfterItsSlotCameIsPutBack) {
  const FullKey evicted = key_of_shard(0, 1);
  ask(evicted, {"SET", "v"});
  world.servers[0].evict_one(evicted);
  world.pass(4 * kSecond);
  ask(here, {"SET", "v"});
  SlotSet slot;
  slot.set(slot_of(key_of(here)));
  ASSERT_TRUE(world.servers.move_slots(0, 1, slot, 1, kMs));
  wait_until_moved();
  world.settle();
  world.servers[1].evict_one(here);
  EXPECT_EQ(ask(here, {"GET"}), "\"v\"");
  EXPECT_TRUE(world.heal_and_check());
}

// Before the migration has ended, between that and the topology, while the engines change.
TEST(AClusterOfUsers, KilledInTheMidstOfAMove) {
  for (int i = 0; i < 40; ++i) {
    WorldOptions options = cluster_options();
    options.seed = static_cast<std::uint64_t>(i);
    options.users.sessions = 20;
    World world(options);
    world.settle();
    world.users.start();
    world.pass(kSecond);
    ASSERT_TRUE(world.servers.move_slots(0, 1, SlotSet().set() >> 12'000, 2, kMs));
    world.pass(i * 50 * kMs);
    world.kill_stayd();
    world.pass(20 * kMs);
    world.instance.start();
    ASSERT_TRUE(world.heal_and_check()) << world.report();
  }
}

TEST(AClusterOfUsers, SlotsMoveToAndFroUnderLoad) {
  for (int shards = 2; shards <= 3; ++shards) {
    WorldOptions options = cluster_options();
    options.shards = shards;
    options.fill_redis = true;
    options.users.sessions = 30;
    World world(options);
    world.settle();
    world.users.start();
    for (std::size_t i = 0; i < 6; ++i) {
      const auto n = static_cast<std::size_t>(shards);
      const SlotSet some = SlotSet().set() >> 10'000 << (i * 1000);
      world.servers.move_slots(i % n, (i + 1) % n, some, 1 + i % 3, kMs);
      world.pass(3 * kSecond);
    }
    ASSERT_TRUE(world.heal_and_check()) << world.report();
  }
}

TEST(AClusterOfUsers, TheSameSeedIsTheSameRun) {
  std::uint64_t hashes[2] = {};
  for (auto& hash : hashes) {
    World world({.seed = 42, .minutes = 0.2, .found_by = FoundBy::cluster, .shards = 3});
    EXPECT_TRUE(world.run()) << world.report();
    hash = world.scheduler.hash();
  }
  EXPECT_EQ(hashes[0], hashes[1]);
}

}  // namespace
}  // namespace stayd::sim
