// What a start does not know, or has lost: which shard has which slots, what a heartbeat tells of,
// and the end of the ledger (W6).
#include <gtest/gtest.h>

#include "redis/shard_set_test_util.h"

namespace stayd {
namespace {

using testing::DividedTest;
using testing::key_in;
using testing::kHigh;
using testing::kLow;

class DoubtTest : public DividedTest {
 protected:
  // A power cut takes what was written since sync(). Those that were told to do so do not listen.
  void cut_power() {
    set.reset();
    store.lose_power(0);
    start();
  }
  void lose_node(const std::string& name) {
    node(name).listens = false;
    until([&] { return trust_of(name) == Trust::out; });
  }
};

// The ledger may know it from before a move: what it holds would be written to the wrong one, and
// what that holds would count.
TEST_F(DoubtTest, AStartAsksWhoHasWhichSlotsFirst) {
  reply_to({"set", key_in("8000-8191"), "a"});
  const int dials = cluster.dials("x:6379");
  restart();
  run(500);
  EXPECT_EQ(cluster.dials("x:6379"), dials);
  reshard({{"x", "0-7999"}, {"y", "8000-16383"}});
  ASSERT_TRUE(settled());
  EXPECT_EQ(reply_to({"get", key_in("8000-8191")}), "$1\r\na\r\n");
}

TEST_F(DoubtTest, AStartWithoutAnAnswerTakesThemAsTheyWere) {
  restart();
  EXPECT_TRUE(settled());
}

// Most of x's slots go to y, more than y had: y's memory is y's all the same. Taken for x's, which
// x's heartbeat vouches for, it would show what it kept from long ago.
TEST_F(DoubtTest, AShardStaysWhereItsMemoryIs) {
  reshard({{"x", "0-15000"}, {"y", "15001-16383"}});
  ASSERT_TRUE(settled());
  const std::string x = id_of("x"), y = id_of("y");
  const std::string logged_out = key_in("100-15000");
  reply_to({"set", logged_out, "a"});
  EXPECT_EQ(reply_to({"del", logged_out}), ":1\r\n");
  run(1'000);
  reshard({{"x", "0-99"}, {"y", "100-16383"}});
  node("y").data[logged_out] = "of long ago";
  ASSERT_TRUE(settled());
  EXPECT_EQ(id_of("x"), x);
  EXPECT_EQ(id_of("y"), y);
  EXPECT_EQ(reply_to({"get", logged_out}), "_\r\n");
  EXPECT_FALSE(node("y").data.contains(logged_out));
}

// x's heartbeat goes to y with its slot, and comes back with it; x has lost everything meanwhile.
TEST_F(DoubtTest, AHeartbeatThatComesBackWithItsSlotVouchesForNothing) {
  const std::string staying = key_in("0-7999");
  reply_to({"set", staying, "a"});
  run(1'000);
  reshard({{"x", "0-7999"}, {"y", "8000-16383"}});
  ASSERT_TRUE(settled());
  run(1'000);
  node("x").data.clear();
  node("x").run_id = "another";
  reshard({{"x", "0-8191"}, {"y", "8192-16383"}});
  ASSERT_TRUE(settled());
  EXPECT_EQ(node("x").data[staying], "a");
  EXPECT_EQ(reply_to({"get", staying}), "$1\r\na\r\n");
}

// y is out, or stayd is killed, before y's heartbeat has been compared with the ledger that lost
// its end: what others write since then is newer than that heartbeat.
TEST_F(DoubtTest, WhatIsWrittenSinceHidesNoLoss) {
  const std::string high = key_in(kHigh);
  reply_to({"set", high, "a"});
  run(1'000);
  store.sync();
  reply_to({"set", high, "b"});
  run(1'000);
  lose_node("y");
  cut_power();
  tell({{"x", std::string(kLow)}, {"y", std::string(kHigh)}});
  until([this] { return trust_of("x") == Trust::trusted; });
  reply_to({"set", key_in(kLow), "c"});
  restart();
  node("y").listens = true;
  ASSERT_TRUE(settled());
  run(2'000);
  lose_node("y");
  EXPECT_EQ(reply_to({"get", high}), "$1\r\nb\r\n");
}

// As the ledger knows it the key is x's; x says that it is not. x's backfill ends without it.
TEST_F(DoubtTest, ABackfillOfTheWrongSlotsProvesNothing) {
  const std::string moving = key_in("4000-4999");
  store.sync();
  reply_to({"set", moving, "a"});
  reply_to({"set", key_in(kHigh), "b"});
  run(1'000);
  reshard({{"x", "0-3999 5000-8191"}, {"y", "4000-4999 8192-16383"}});
  lose_node("y");
  cut_power();
  tell({{"x", std::string(kLow)}, {"y", std::string(kHigh)}});  // not heard of by everybody yet
  ASSERT_TRUE(until([this] { return trust_of("x") == Trust::trusted; }));
  run(500);
  EXPECT_EQ(reply_to({"get", moving}), "-TRYAGAIN stayd: session state temporarily unknown\r\n");
  EXPECT_EQ(reply_to({"exists", moving}), "-TRYAGAIN stayd: session state temporarily unknown\r\n");
  node("y").listens = true;
  tell({{"x", "0-3999 5000-8191"}, {"y", "4000-4999 8192-16383"}});
  ASSERT_TRUE(settled());
  EXPECT_EQ(reply_to({"get", moving}), "$1\r\na\r\n");
  ASSERT_TRUE(until([this] { return set->status().adoption_settled; }, 20'000));
  node("y").listens = false;
  EXPECT_EQ(reply_to({"get", moving}), "$1\r\na\r\n");
}

}  // namespace
}  // namespace stayd
