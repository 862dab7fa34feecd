// A slot's move is given up, and the keys that had gone are brought back, as `redis-cli --cluster
// fix` does it. stayd had told the slot's shard of a logout that it could not execute, and was told
// that there is no such key: brought back, the session lived again.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "redis/cluster_map.h"
#include "redis/shard_set_test_util.h"
#include "redis/topology_change.h"

namespace stayd {
namespace {

using testing::DividedTest;
using testing::key_in;
using testing::kHigh;
using testing::kLow;
using testing::slots;

class ReturnedSlotsTest : public ::testing::Test {
 protected:
  ReturnedSlotsTest() {
    map.add_seed({"a", 6379, ""});
    say("", "", "0-8191", "8192-16383");
  }
  // Two nodes say what they have, and what is on its way to them.
  void say(const std::string& to_a, const std::string& to_b, const std::string& of_a,
           const std::string& of_b) {
    ClusterView view;
    for (const auto& [id, ranges] : {std::pair("a", of_a), std::pair("b", of_b)}) {
      ClusterNode& node = view.nodes.emplace_back();
      node.id = id;
      node.address = {id, 6379, ""};
      node.primary = true;
      // Higher where slots have come, as Redis has it.
      if (said[id] != ranges) epochs[id] = ++epoch;
      said[id] = ranges;
      node.config_epoch = epochs[id];
      node.slots.push_back(*parse_slot_range(ranges));
    }
    if (!to_a.empty()) view.moving[parse_slot_range(to_a)->first] = "a";
    map.on_answer({"a", 6379, ""}, {view, true}, ++now_us);
    view.myself = 1;
    view.moving.clear();
    if (!to_b.empty()) view.moving[parse_slot_range(to_b)->first] = "b";
    map.on_answer({"b", 6379, ""}, {view, true}, now_us);
    changed = map.elect(now_us);
  }
  std::string returned() const { return slot_ranges_text(map.followed()->returned); }

  ClusterMap map;
  std::int64_t now_us = 1;
  std::uint64_t epoch = 0;
  std::map<std::string, std::uint64_t> epochs;
  std::map<std::string, std::string> said;
  bool changed = false;
};

TEST_F(ReturnedSlotsTest, AMoveThatIsGivenUp) {
  say("", "100", "0-8191", "8192-16383");
  EXPECT_TRUE(map.slots_move());
  EXPECT_FALSE(changed);
  say("", "", "0-8191", "8192-16383");
  EXPECT_TRUE(changed);
  EXPECT_EQ(returned(), "100");
  EXPECT_EQ(change_text(*map.followed(), *map.followed()), "the move of 100 given up");
  EXPECT_FALSE(map.slots_move());
  say("", "", "0-8191", "8192-16383");
  EXPECT_FALSE(changed);
  EXPECT_EQ(returned(), "");
  // Whoever mends it may take the slot's mark off before the keys come back.
  now_us += ClusterMap::kAnswerValidUs;
  say("", "", "0-8191", "8192-16383");
  EXPECT_TRUE(changed);
  EXPECT_EQ(returned(), "100");
  now_us += ClusterMap::kAnswerValidUs;
  say("", "", "0-8191", "8192-16383");
  EXPECT_FALSE(changed);
}

TEST_F(ReturnedSlotsTest, AMoveThatIsMade) {
  say("", "8191", "0-8191", "8192-16383");
  say("", "", "0-8190", "8191-16383");
  EXPECT_TRUE(changed);
  EXPECT_EQ(returned(), "");
}

// What nobody says anything of is given up too: that costs a moment, no more.
TEST_F(ReturnedSlotsTest, TheNodeFallsSilent) {
  say("", "100", "0-8191", "8192-16383");
  EXPECT_TRUE(map.elect(now_us + ClusterMap::kAnswerValidUs + 2) || map.slots_move());
}

// Its move is given up, and nobody brings back what has gone: a read made its absence a logout.
TEST_F(DividedTest, WhatASlotLacksAfterItWasOnItsWayWasNotRemoved) {
  const std::string key = key_in("100-199");
  reply_to({"set", key, "v"});
  ASSERT_TRUE(settled());
  node("x").slots.reset(slot_of(key));
  EXPECT_EQ(reply_to({"get", key}), "$1\r\nv\r\n");
  node("x").slots.set(slot_of(key));
  node("x").data.erase(key);
  run(1'000);  // Redis is asked again
  EXPECT_EQ(reply_to({"get", key}), "$1\r\nv\r\n");
  ASSERT_TRUE(settled());
  EXPECT_EQ(node("x").data[key], "v");
  run(31'000);  // by then a key that is not there was removed
  node("x").data.erase(key);
  EXPECT_EQ(reply_to({"get", key}), "_\r\n");
}

TEST_F(DividedTest, OldKeysThatAreBroughtBackAreNotBelieved) {
  const std::string gone = key_in("100-199"), kept = key_in("200-299"), other = key_in(kHigh);
  for (const auto& key : {gone, kept, other}) reply_to({"set", key, "old"});
  reply_to({"del", gone});
  reply_to({"set", kept, "new"});
  ASSERT_TRUE(settled());
  node("x").data[gone] = node("x").data[kept] = "old";
  const int dials = cluster.dials("y:6379");
  Topology topology = testing::topology({{"x", std::string(kLow)}, {"y", std::string(kHigh)}});
  topology.returned = slots("100-299");
  set->on_topology(topology);
  run(1'500);
  ASSERT_TRUE(settled());
  EXPECT_FALSE(node("x").data.contains(gone));
  EXPECT_EQ(node("x").data[kept], "new");
  EXPECT_EQ(reply_to({"get", gone}), "_\r\n");
  EXPECT_EQ(owners().at("x:6379"), kLow);
  EXPECT_EQ(cluster.dials("y:6379"), dials);
}

}  // namespace
}  // namespace stayd
