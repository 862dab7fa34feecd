// What the shards of one region know of the ledger's end (W6), and what another region has to do
// with it: nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "redis/shard_doubt_test_util.h"

namespace stayd {
namespace {

using testing::DoubtTest;
using testing::key_in;
using testing::kHigh;
using testing::kLow;
using testing::Shards;
using testing::slots;
using testing::topology;

// Two regions: x and y at home, u and v elsewhere.
class RegionDoubtTest : public DoubtTest {
 protected:
  RegionDoubtTest() : DoubtTest("home") {
    reply_to({"set", low, "a"});
    reply_to({"set", high, "a"});
    run(1'000);
    store.sync();
    reply_to({"set", low, "b"});
    reply_to({"set", high, "b"});
    run(1'000);
  }
  void lead_away() {
    region = "away";
    const std::vector<Shards> shards = {{"u", std::string(kLow)}, {"v", std::string(kHigh)}};
    for (const auto& [name, ranges, config_epoch] : shards) {
      node(name).slots = slots(ranges);
      wanted[name + ":6379"] = ranges;
    }
    for (const std::string left : {"x", "y"}) wanted.erase(left + ":6379");
    const Topology there = topology(shards);
    set->lead_to({.region = region, .topology = &there}, "another region");
  }
  const std::string low = key_in("0-4000"), high = key_in(kHigh);
};

// As AHeartbeatUnderItsNameOfBeforeTellsOfTheLoss; a region's heartbeats carry its name.
TEST_F(RegionDoubtTest, AHeartbeatIsAskedForUnderItsRegionsName) {
  lose_node("y");
  lose_node("x");
  reshard({{"x", "0-8500"}, {"y", "8501-16383"}});
  cut_power();
  tell({{"x", "0-8500"}, {"y", "8501-16383"}});
  find_node("x");
  node("y").listens = true;
  EXPECT_EQ(row_of_x(low), "$1\r\nb\r\n");
}

// The ledger has gone on at the other region when stayd is killed there: its heartbeats are no
// proof of what the ledger had lost before.
TEST_F(RegionDoubtTest, AnotherRegionIsNotAskedWhatTheFirstOneWasNot) {
  lose_node("x");
  lose_node("y");
  cut_power();
  run(50);
  lead_away();
  ASSERT_TRUE(settled());
  reply_to({"set", low, "c"});
  run(2'000);
  restart();
  tell({{"u", std::string(kLow)}, {"v", std::string(kHigh)}});
  ASSERT_TRUE(settled());
  EXPECT_EQ(set->status().truths, 0u);
  EXPECT_EQ(reply_to({"get", low}), "$1\r\nc\r\n");
}

// Killed when that is not written yet, and what is written makes the ledger longer than it was.
TEST_F(RegionDoubtTest, NorAfterAKillRightBehindTheChange) {
  lose_node("x");
  lose_node("y");
  cut_power();
  run(50);
  reply_to({"set", low, "c"});
  const std::string name = "shard" + id_of("x") + ".ledger_top", open = store.fact(name);
  lead_away();
  ASSERT_NE(store.fact(name), open);
  ASSERT_TRUE(until([&] {
    return std::ranges::any_of(node("u").data, [](const auto& one) {
      return one.first.find(":canary:") != std::string::npos;
    });
  }));
  store.put_fact(name, open);
  restart();
  tell({{"u", std::string(kLow)}, {"v", std::string(kHigh)}});
  ASSERT_TRUE(settled());
  EXPECT_EQ(set->status().truths, 0u);
}

// x is trusted, in case y shows no loss, when the other region is used instead: a copy of this one.
// What is there of y's heartbeat was copied with it.
TEST_F(RegionDoubtTest, ACopiedHeartbeatShowsNoLoss) {
  const Hlc top = position_of("x");
  lose_node("x");
  lose_node("y");
  cut_power();
  set_position("x", std::min(top, store.highest_hlc()), store.highest_hlc());
  tell({{"x", std::string(kLow)}, {"y", std::string(kHigh)}});
  find_node("x");
  node("u").data = node("x").data;
  node("v").data = node("y").data;
  node("u").data[low] = "of long ago";
  lead_away();
  ASSERT_TRUE(settled());
  run(1'000);
  EXPECT_EQ(set->status().truths, 0u);
  EXPECT_EQ(reply_to({"get", low}), "$1\r\na\r\n");
  EXPECT_EQ(node("u").data[low], "a");
}

}  // namespace
}  // namespace stayd
