// Slots leave a shard and come back before stayd is told; their keys may have been lost meanwhile.
#include <gtest/gtest.h>

#include <string>

#include "redis/shard_set_test_util.h"

namespace stayd {
namespace {

using testing::DividedTest;
using testing::key_in;
using testing::kHigh;
using testing::kLow;

class ReturnTest : public DividedTest {
 protected:
  ReturnTest() {
    tell({{"x", std::string(kLow), 1}, {"y", std::string(kHigh), 2}});
    EXPECT_TRUE(settled());
    reply_to({"set", low, "a"});
    run(1'000);
  }
  // x has lost it, and nothing shows that: its heartbeat has been there all along.
  void lose() { EXPECT_EQ(node("x").data.erase(low), 1u); }
  const std::string low = key_in("0-99");
};

// stayd stood still, or asks every ten seconds (--shards 2, seed 154).
TEST_F(ReturnTest, AHigherConfigEpochSaysThatSlotsMayHaveBeenAway) {
  lose();
  tell({{"x", std::string(kLow), 4}, {"y", std::string(kHigh), 3}});
  ASSERT_TRUE(until([this] { return node("x").data.contains(low); }));
  ASSERT_TRUE(settled());
  EXPECT_EQ(reply_to({"get", low}), "$1\r\na\r\n");
}

TEST_F(ReturnTest, AlsoBesideSlotsThatHaveCome) {
  reshard({{"x", "0-7999 8101-8191", 1}, {"y", "8000-8100 8192-16383", 2}});
  ASSERT_TRUE(settled());
  run(1'000);
  lose();
  reshard({{"x", std::string(kLow), 4}, {"y", std::string(kHigh), 3}});
  ASSERT_TRUE(settled());
  EXPECT_EQ(node("x").data[low], "a");
}

TEST_F(ReturnTest, AlsoAfterAKill) {
  lose();
  restart();
  tell({{"x", std::string(kLow), 4}, {"y", std::string(kHigh), 3}});
  ASSERT_TRUE(until([this] { return node("x").data.contains(low); }));
  ASSERT_TRUE(settled());
  EXPECT_EQ(reply_to({"get", low}), "$1\r\na\r\n");
}

// Nothing else asks, as what did not answer meanwhile is in its place again.
TEST_F(ReturnTest, WhoStoodStillAsksWhereSlotsAre) {
  const int before = hints;
  now.mono_us += 5'000'000;
  now.wall_ms += 5'000;
  tick();
  EXPECT_EQ(hints, before + 1);
}

// It takes the next config-epoch of all: its heartbeat is believed as before.
TEST_F(ReturnTest, AFailoverExplainsAHigherConfigEpoch) {
  const std::string x = id_of("x");
  lose();
  node("z") = node("x");
  tell({{"z", std::string(kLow), 3}, {"y", std::string(kHigh), 2}});
  ASSERT_TRUE(settled());
  run(1'000);
  EXPECT_EQ(id_of("z"), x);
  EXPECT_FALSE(node("z").data.contains(low));
}

TEST_F(ReturnTest, AFailoverDoesNotExplainAnother) {
  lose();
  node("z") = node("x");
  tell({{"z", std::string(kLow), 5}, {"y", std::string(kHigh), 4}});
  ASSERT_TRUE(settled());
  EXPECT_EQ(node("z").data[low], "a");
}

// Told too soon behind another change to be followed one by one.
TEST_F(ReturnTest, SlotsThatWereHeardToBeAwayAreWritten) {
  run(2'000);
  reshard({{"x", "0-8000", 0}, {"y", "8001-16383", 0}});
  ASSERT_TRUE(settled());
  lose();
  tell({{"x", "100-8000", 0}, {"y", "0-99 8001-16383", 0}});
  tell({{"x", "0-8000", 0}, {"y", "8001-16383", 0}});
  ASSERT_TRUE(until([this] { return node("x").data.contains(low); }));
  ASSERT_TRUE(settled());
  EXPECT_EQ(reply_to({"get", low}), "$1\r\na\r\n");
}

}  // namespace
}  // namespace stayd
