// Shards of a Cluster on one ledger: what a topology changes, what it leaves alone, and what a
// restart finds.
#include "redis/shard_set.h"

#include <gtest/gtest.h>

#include "redis/shard_set_test_util.h"

namespace stayd {
namespace {

using testing::DividedTest;
using testing::key_in;
using testing::kHigh;
using testing::kLow;
using testing::ShardSetTest;

TEST_F(ShardSetTest, UntilThereIsATopologyTheLedgerAnswers) {
  start();
  EXPECT_EQ(set->status().shards.size(), 1u);
  EXPECT_FALSE(set->up());
  EXPECT_EQ(reply_to({"get", "sess:1"}), "-TRYAGAIN stayd: session state temporarily unknown\r\n");
  EXPECT_EQ(reply_to({"set", "sess:1", "a"}), "+OK\r\n");
  EXPECT_EQ(reply_to({"get", "sess:1"}), "$1\r\na\r\n");
}

TEST_F(ShardSetTest, TheFirstTopologyDividesTheSlots) {
  start();
  reply_to({"set", key_in(kLow), "a"});
  reply_to({"set", key_in(kHigh), "b"});
  reshard({{"x", std::string(kLow)}, {"y", std::string(kHigh)}});
  ASSERT_TRUE(settled());
  // What was written before has reached its own shard.
  EXPECT_EQ(node("x").data[key_in(kLow)], "a");
  EXPECT_EQ(node("y").data[key_in(kHigh)], "b");
  EXPECT_FALSE(node("x").data.contains(key_in(kHigh)));
  EXPECT_NE(id_of("x"), id_of("y"));
  EXPECT_EQ(hints, 0);
}

TEST_F(ShardSetTest, EachShardHasReplicasOfItsOwn) {
  replica_reads = true;
  start();
  reshard({{"x", std::string(kLow)}, {"y", std::string(kHigh)}});
  ASSERT_TRUE(settled());
  Topology named = testing::topology({{"x", std::string(kLow)}, {"y", std::string(kHigh)}});
  named.shards[0].replicas = {{"x1", 6379, ""}, {"x2", 6379, ""}};
  named.shards[1].primary.host = "not yet followed";
  named.shards[1].replicas = {{"z1", 6379, ""}};
  set->name_replicas(named);
  EXPECT_EQ(set->status().replicas_known, 2u);
}

TEST_F(DividedTest, AFailoverMovesConnectionsOfItsShardAlone) {
  const std::string id = id_of("x");
  reply_to({"set", key_in(kLow), "a"});
  run(1'000);
  node("z").data = node("x").data;
  node("z").run_id = "another";
  node("x").listens = false;
  const int dials = cluster.dials("y:6379");
  reshard({{"z", std::string(kLow)}, {"y", std::string(kHigh)}});
  EXPECT_EQ(trust_of("y"), Trust::trusted);
  ASSERT_TRUE(settled());
  EXPECT_EQ(cluster.dials("y:6379"), dials);
  EXPECT_EQ(id_of("z"), id);
  EXPECT_EQ(reply_to({"get", key_in(kLow)}), "$1\r\na\r\n");
}

TEST_F(DividedTest, SlotsMoveAndWhatIsInThemIsWrittenAnew) {
  const std::string moving = key_in("8000-8191");
  reply_to({"set", moving, "a"});
  reshard({{"x", "0-7999"}, {"y", "8000-16383"}});
  node("y").data[moving] = "an older one";
  ASSERT_TRUE(settled());
  EXPECT_EQ(node("y").data[moving], "a");
  EXPECT_EQ(reply_to({"get", moving}), "$1\r\na\r\n");
  EXPECT_EQ(node("y").seen.back(), "get " + moving);
}

// The new primary may have lost what came to it with the slot: its own heartbeat does not say so.
TEST_F(DividedTest, AHeartbeatFromBeforeTheGainVouchesForNothingGained) {
  const std::string moving = key_in("8000-8191"), staying = key_in(kHigh);
  reply_to({"set", moving, "a"});
  reply_to({"set", staying, "b"});
  run(1'000);
  const auto before = node("y").data;  // with a heartbeat that covers both rows' versions
  reshard({{"x", "0-7999"}, {"y", "8000-16383"}});
  until([this] { return moved(); });
  node("z").data = before;  // y's replica: without the key that was migrated
  node("z").run_id = "another";
  node("y").listens = false;
  reshard({{"x", "0-7999"}, {"z", "8000-16383"}});
  node("z").data = before;
  ASSERT_TRUE(settled());
  EXPECT_EQ(node("z").data[moving], "a");
  EXPECT_EQ(reply_to({"get", moving}), "$1\r\na\r\n");
}

TEST_F(DividedTest, ALogoutDoesNotComeBackWithTheSlot) {
  const std::string moving = key_in("8000-8191");
  reply_to({"set", moving, "a"});
  node("x").listens = false;
  until([this] { return trust_of("x") == Trust::out; });
  EXPECT_EQ(reply_to({"del", moving}), ":1\r\n");  // owed to x
  node("x").listens = true;
  reshard({{"x", "0-7999"}, {"y", "8000-16383"}});
  EXPECT_EQ(node("y").data[moving], "a");
  ASSERT_TRUE(settled());
  EXPECT_FALSE(node("y").data.contains(moving));
  EXPECT_EQ(reply_to({"get", moving}), "_\r\n");
}

TEST_F(DividedTest, ARestartFindsShardsAsTheyWere) {
  const std::string moving = key_in("8000-8191");
  reply_to({"set", moving, "a"});
  reshard({{"x", "0-7999"}, {"y", "8000-16383"}});
  ASSERT_TRUE(settled());
  run(1'000);
  const auto before = owners();
  const std::string x = id_of("x"), y = id_of("y");
  restart();
  EXPECT_EQ(owners(), before);  // known before any node has been asked
  EXPECT_EQ(id_of("x"), x);
  EXPECT_EQ(id_of("y"), y);
  ASSERT_TRUE(settled());
  reshard({{"x", "0-7999"}, {"z", "8000-9999"}, {"y", "10000-16383"}});
  ASSERT_TRUE(settled());
  EXPECT_NE(id_of("z"), x);
  EXPECT_NE(id_of("z"), y);
}

TEST_F(DividedTest, ARestartKnowsWhatAHeartbeatDoesNotVouchFor) {
  const std::string moving = key_in("8000-8191");
  reply_to({"set", moving, "a"});
  run(1'000);
  const auto before = node("y").data;
  reshard({{"x", "0-7999"}, {"y", "8000-16383"}});
  until([this] { return moved(); });
  restart();
  node("y").data = before;  // back from before the slot came
  ASSERT_TRUE(settled());
  EXPECT_EQ(node("y").data[moving], "a");
}

TEST_F(DividedTest, OfADamagedFactWhatIsMissingIsNew) {
  const std::string high = key_in(kHigh);
  reply_to({"set", high, "b"});
  std::string fact = store.fact("cluster_shards");
  fact.resize(fact.rfind("\n", fact.size() - 2) + 1);  // the last line
  store.put_fact("cluster_shards", fact + "7 0 1 z 6379 5-6\nnonsense\n9 1 1 z 6379 0-3\n");
  restart();
  EXPECT_EQ(set->status().shards.size(), 2u);
  tell({{"x", std::string(kLow)}, {"y", std::string(kHigh)}});
  ASSERT_TRUE(settled());
  EXPECT_EQ(reply_to({"get", high}), "$1\r\nb\r\n");
}

}  // namespace
}  // namespace stayd
