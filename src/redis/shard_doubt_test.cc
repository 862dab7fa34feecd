// What a start does not know, or has lost: which shard has which slots, what a heartbeat tells of,
// and the end of the ledger (W6).
#include <gtest/gtest.h>

#include <string>

#include "redis/shard_doubt_test_util.h"

namespace stayd {
namespace {

using testing::DoubtTest;
using testing::key_in;
using testing::kHigh;
using testing::kLow;

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

// y's heartbeat had been compared, and what was written while it was out had reached it, when the
// ledger lost both that this was so and what came behind it (--shards 2, seed 781).
TEST_F(DoubtTest, AJudgementThatIsLostTooHidesNoLoss) {
  const std::string high = key_in(kHigh);
  reply_to({"set", high, "a"});
  run(1'000);
  lose_node("y");
  restart();
  tell({{"x", std::string(kLow)}, {"y", std::string(kHigh)}});
  until([this] { return trust_of("x") == Trust::trusted; });
  reply_to({"set", high, "b"});
  store.sync();
  node("y").listens = true;
  ASSERT_TRUE(settled());
  reply_to({"set", high, "c"});
  run(2'000);
  lose_node("y");
  cut_power();
  tell({{"x", std::string(kLow)}, {"y", std::string(kHigh)}});
  find_node("y");
  ASSERT_TRUE(until([this] { return set->status().adoption_complete; }));
  lose_node("y");
  EXPECT_EQ(reply_to({"get", high}), "$1\r\nc\r\n");
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

// x gained a slot while it was out, and its heartbeat has another name since. The ledger has lost
// that too.
TEST_F(DoubtTest, AHeartbeatUnderItsNameOfBeforeTellsOfTheLoss) {
  const std::string low = key_in("0-7999");
  write_what_is_not_synced(low);
  reshard({{"x", "0-8500"}, {"y", "8501-16383"}});
  cut_power();
  tell({{"x", "0-8500"}, {"y", "8501-16383"}});
  find_node("x");
  node("y").listens = true;
  EXPECT_EQ(row_of_x(low), "$1\r\nb\r\n");
}

// x's heartbeat has gone to y with its slot. What it tells is x's too.
TEST_F(DoubtTest, AHeartbeatThatIsElsewhereTellsOfTheLoss) {
  const std::string low = key_in("0-7999");
  write_what_is_not_synced(low);
  reshard({{"x", "0-7999"}, {"y", "8000-16383"}});
  cut_power();
  tell({{"x", "0-7999"}, {"y", "8000-16383"}});
  find_node("y");
  find_node("x");
  EXPECT_EQ(row_of_x(low), "$1\r\nb\r\n");
}

// What was owed to x had held its heartbeat's position back. It tells how far the ledger had come.
TEST_F(DoubtTest, AHeartbeatThatWasHeldBackTellsOfTheLoss) {
  const std::string low = key_in(kLow);
  reply_to({"set", low, "a"});
  run(1'000);
  store.sync();
  const Hlc top = store.highest_hlc();
  lose_node("y");
  reply_to({"set", low, "b"});
  run(1'000);
  lose_node("x");
  cut_power();
  set_position("x", top, ~Hlc{0});
  tell({{"x", std::string(kLow)}, {"y", std::string(kHigh)}});
  find_node("x");
  node("y").listens = true;
  EXPECT_EQ(row_of_x(low), "$1\r\nb\r\n");
}

// x had refused heartbeats, and not everything: its last one is behind the ledger.
class RefusedHeartbeatTest : public DoubtTest {
 protected:
  RefusedHeartbeatTest() {
    reply_to({"set", low, "a"});
    run(1'000);
    store.sync();
    const Hlc top = position_of("x");
    EXPECT_EQ(top, store.highest_hlc());
    reply_to({"set", low, "b"});
    run(1'000);
    lose_node("y");
    lose_node("x");
    cut_power();
    set_position("x", top, top);
    tell({{"x", std::string(kLow)}, {"y", std::string(kHigh)}});
    find_node("x");
  }
  const std::string low = key_in("0-4000");
};

TEST_F(RefusedHeartbeatTest, TheRowsOfAShardThatIsTrustedGoWhenAnotherShowsTheLoss) {
  find_node("y");
  EXPECT_EQ(row_of_x(low), "$1\r\nb\r\n");
}

TEST_F(RefusedHeartbeatTest, AlsoAfterAKill) {
  restart();
  find_node("x");
  find_node("y");
  EXPECT_EQ(row_of_x(low), "$1\r\nb\r\n");
}

// y shows it while x is out, and stayd is killed.
TEST_F(RefusedHeartbeatTest, AlsoIfItWasFoundBeforeTheKill) {
  lose_node("x");
  find_node("y");
  run(1'000);
  restart();
  find_node("x");
  EXPECT_EQ(row_of_x(low), "$1\r\nb\r\n");
}

TEST_F(RefusedHeartbeatTest, WhatThisLifeHasWrittenStays) {
  const std::string written = key_in("4001-8191");
  reply_to({"set", written, "c"});
  lose_node("x");
  reply_to({"set", low, "d"});
  find_node("y");
  find_node("x");
  EXPECT_EQ(row_of_x(low), "$1\r\nd\r\n");
  EXPECT_EQ(reply_to({"get", written}), "$1\r\nc\r\n");
  EXPECT_EQ(node("x").data[low], "d");
}

// Their slots are y's by then; x is not there any more.
TEST_F(RefusedHeartbeatTest, TheDoubtGoesWithTheSlots) {
  reshard({{"y", "0-16383"}});
  until([this] { return set->status().shards.size() == 1; });
  find_node("y");
  ASSERT_TRUE(settled());
  ASSERT_TRUE(until([this] { return set->status().adoption_complete; }));
  lose_node("y");
  EXPECT_EQ(reply_to({"get", low}), "$1\r\nb\r\n");
}

// Out since before the ledger's end: what the ledger knows is newer.
TEST_F(DoubtTest, AShardThatWasOutKeepsItsRows) {
  const std::string low = key_in(kLow);
  reply_to({"set", low, "a"});
  run(1'000);
  lose_node("x");
  reply_to({"set", low, "b"});
  store.sync();
  reply_to({"set", key_in(kHigh), "c"});
  run(1'000);
  lose_node("y");
  cut_power();
  tell({{"x", std::string(kLow)}, {"y", std::string(kHigh)}});
  find_node("y");
  find_node("x");
  EXPECT_EQ(row_of_x(low), "$1\r\nb\r\n");
  EXPECT_EQ(node("x").data[low], "b");
}

}  // namespace
}  // namespace stayd
