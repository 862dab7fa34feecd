// Slots change their shard: what is under way, what waits, what goes with them, and what happens
// before the topology says so.
#include <gtest/gtest.h>

#include "redis/shard_set_test_util.h"

namespace stayd {
namespace {

using testing::DividedTest;
using testing::key_in;
using testing::kHigh;
using testing::kLow;
using testing::Request;
using testing::ShardSetTest;
using testing::slots;

TEST_F(DividedTest, CallsUnderWayEndAndThoseBehindWait) {
  const std::string moving = key_in("8000-8191");
  reply_to({"set", moving, "a"});
  run(1'000);
  cluster.frozen["x:6379"] = true;
  Request& lost = ask({"set", moving, "b"});
  Request& popped = ask({"blpop", key_in(kLow), "0"}, 2);
  tick();
  reshard({{"x", "0-7999"}, {"y", "8000-16383"}});
  Request& behind = ask({"get", moving});
  Request& other = ask({"get", key_in(kHigh)});
  Request& counted = ask({"dbsize"}, 3);
  EXPECT_EQ(lost.reply + behind.reply + counted.reply, "");
  cluster.frozen.clear();
  until([&] { return !counted.reply.empty() && !other.reply.empty(); });
  EXPECT_EQ(lost.reply, "+OK\r\n");
  EXPECT_EQ(popped.reply, "-ERR stayd: outcome unknown, connection to Redis lost\r\n");
  EXPECT_EQ(behind.reply, "$1\r\nb\r\n");
  ASSERT_TRUE(settled());
  EXPECT_EQ(node("y").data[moving], "b");
  EXPECT_EQ(set->calls_under_way(), 0u);
}

TEST_F(DividedTest, AShardDisappears) {
  const std::string low = key_in(kLow);
  reply_to({"set", low, "a"});
  reshard({{"y", "0-16383"}});
  EXPECT_TRUE(until([this] { return set->status().shards.size() == 1; }));
  ASSERT_TRUE(settled());
  EXPECT_EQ(reply_to({"get", low}), "$1\r\na\r\n");
  // What its engine had asked the ledger for comes to nobody.
  run(1'000);
  EXPECT_EQ(set->status().shards.size(), 1u);
}

TEST_F(DividedTest, ANewShardTakesSlotsOfTwo) {
  const std::string low = key_in("6000-8191"), high = key_in("8192-10000");
  reply_to({"set", low, "a"});
  reply_to({"set", high, "b"});
  reshard({{"x", "0-5999"}, {"z", "6000-10000"}, {"y", "10001-16383"}});
  ASSERT_TRUE(settled());
  EXPECT_EQ(reply_to({"get", low}), "$1\r\na\r\n");
  EXPECT_EQ(reply_to({"get", high}), "$1\r\nb\r\n");
  EXPECT_EQ(node("z").data[low] + node("z").data[high], "ab");
}

TEST_F(DividedTest, SlotsThatNobodyHasStayWhereTheyWere) {
  reply_to({"set", key_in("0-99"), "a"});
  tell({{"x", "100-8191"}, {"y", std::string(kHigh)}});
  run(2'000);
  EXPECT_EQ(owners().at("x:6379"), kLow);
  EXPECT_EQ(reply_to({"get", key_in("0-99")}), "$1\r\na\r\n");
}

// One by one would be an outage for each.
TEST_F(DividedTest, ChangesThatComeAtOnceAreFollowedTogether) {
  reshard({{"x", "0-8100"}, {"y", "8101-16383"}});
  EXPECT_TRUE(settled());
  const int dials = cluster.dials("x:6379");
  for (int last = 8099; last > 8000; last -= 9) {
    reshard({{"x", "0-" + std::to_string(last)}, {"y", std::to_string(last + 1) + "-16383"}});
    tick();
  }
  EXPECT_TRUE(settled());
  EXPECT_LE(cluster.dials("x:6379") - dials, 12);  // data and aux; MOVED meanwhile
}

TEST_F(DividedTest, AFailoverThatComesWhileSlotsMoveIsFollowed) {
  ledger_works = false;  // nothing ends
  Request& slow = ask({"del", key_in(kLow)});
  reshard({{"x", "0-7999"}, {"y", "8000-16383"}});
  run(50);
  reshard({{"x", "0-7999"}, {"z", "8000-16383"}});
  run(50);
  EXPECT_TRUE(slow.reply.empty());
  ledger_works = true;
  EXPECT_TRUE(settled());
  EXPECT_EQ(owners().at("z:6379"), "8000-16383");
}

// --- what other shards do not suffer from

// A shard that holds for an answer holds on, while slots of others move.
TEST_F(ShardSetTest, WhatWaitsForAnotherShardWaitsOn) {
  start({{.match = "*", .unknown = UnknownPolicy::hold}});
  node("z").listens = false;
  reshard({{"x", "0-5000"}, {"y", "5001-9999"}, {"z", "10000-16383"}});
  until([this] { return trust_of("x") == Trust::trusted && trust_of("y") == Trust::trusted; });
  Request& held = ask({"get", key_in("10000-16383")});
  run(50);
  ledger_works = false;
  Request& slow = ask({"del", key_in("0-4000")}, 2);
  reshard({{"x", "0-4000"}, {"y", "4001-9999"}, {"z", "10000-16383"}});
  run(50);
  EXPECT_EQ(held.reply, "");
  ledger_works = true;
  until([&] { return moved(); });
  EXPECT_EQ(held.reply, "");
  node("z").listens = true;
  node("z").data[key_in("10000-16383")] = "c";
  until([&] { return !held.reply.empty(); });
  EXPECT_EQ(held.reply, "$1\r\nc\r\n");
  EXPECT_EQ(slow.reply, ":0\r\n");
}

// No debt of a key that this shard does not have any more: nobody would ever pay it.
TEST_F(DividedTest, ARepairThatTheMoveInterruptsOwesNothing) {
  const std::string moving = key_in("8000-8191");
  node("x").listens = false;
  until([this] { return trust_of("x") == Trust::out; });
  reply_to({"set", moving, "a"});
  node("x").listens = true;
  // Its lease is taken, its row asked for.
  const auto leased = [this] {
    for (const auto& [key, value] : node("x").data) {
      if (key.find(":lease:") != std::string::npos) return true;
    }
    return false;
  };
  for (int i = 0; i < 2'000 && !leased(); ++i) {
    ledger_works = trust_of("x") == Trust::out || i % 2 == 0;
    tick();
  }
  ASSERT_TRUE(leased());
  ledger_works = false;
  reshard({{"x", "0-7999"}, {"y", "8000-16383"}});
  until([this] { return moved(); });
  ledger_works = true;
  EXPECT_TRUE(settled());
  run(2'000);
  EXPECT_EQ(set->status().shard.debts, 0u);
}

TEST_F(ShardSetTest, AScriptWithoutKeysOwesNothingToAnotherShard) {
  start({{.match = "sess:*"}});
  reshard({{"x", std::string(kLow)}, {"y", std::string(kHigh)}});
  ASSERT_TRUE(settled());
  const std::string high = key_in(kHigh);
  reply_to({"set", high, "b"});
  reply_to({"eval", "return redis.call('del', ARGV[1])", "0", high});
  run(1'000);
  EXPECT_EQ(set->status().shard.debts, 0u);
  EXPECT_EQ(hints, 0);
}

// R8: who was told ABSENT may open a new session, wherever the slot is now.
TEST_F(ShardSetTest, EvidenceForFencesMovesWithTheSlot) {
  start({{.match = "*", .fence = Fence::seconds30}});
  reshard({{"x", std::string(kLow)}, {"y", std::string(kHigh)}});
  ASSERT_TRUE(settled());
  const std::string moving = key_in("8000-8191");
  reply_to({"set", moving, "a", "NX"});
  reply_to({"del", moving});
  EXPECT_EQ(reply_to({"get", moving}), "_\r\n");
  reshard({{"x", "0-7999"}, {"y", "8000-16383"}});
  ASSERT_TRUE(settled());
  EXPECT_EQ(reply_to({"set", moving, "new"}), "+OK\r\n");
  EXPECT_EQ(reply_to({"get", moving}), "$3\r\nnew\r\n");
}

// --- slots that are elsewhere, before the topology says so

TEST_F(DividedTest, MovedIsAnsweredByTheLedgerAndHinted) {
  const std::string moving = key_in("8000-8191");
  reply_to({"set", moving, "a"});
  node("x").slots = slots("0-7999");
  // The heartbeat's own slot is the highest.
  EXPECT_EQ(reply_to({"get", moving}), "$1\r\na\r\n");
  EXPECT_EQ(reply_to({"set", moving, "b"}), "+OK\r\n");
  EXPECT_GT(hints, 0);
  reshard({{"x", "0-7999"}, {"y", "8000-16383"}});
  ASSERT_TRUE(settled());
  EXPECT_EQ(node("y").data[moving], "b");
}

// The stand-in cannot know what others have done to the key meanwhile.
TEST_F(DividedTest, AWatchedBlockThatMeetsMovedIsNull) {
  const std::string moving = key_in("100-199");
  reply_to({"set", moving, "a"});
  EXPECT_EQ(reply_to({"watch", moving}), "+OK\r\n");
  node("x").data[moving] = "of another";
  node("x").slots = slots("0-99 200-8191");
  Request& block = exec({"set", moving, "b"});
  until([&] { return !block.reply.empty(); });
  EXPECT_EQ(block.reply, "_\r\n");
  EXPECT_EQ(reply_to({"watch", moving}), "+OK\r\n");  // never MOVED
  Request& again = exec({"set", moving, "b"});
  until([&] { return !again.reply.empty(); });
  EXPECT_EQ(again.reply, "_\r\n");
}

// --- keys that are no sessions

class ProxiedTest : public ShardSetTest {
 protected:
  ProxiedTest() {
    start({{.match = "only:*"}});
    reshard({{"x", std::string(kLow)}, {"y", std::string(kHigh)}});
    EXPECT_TRUE(settled());
    node("x").slots.reset(slot_of(moving));
    node("y").slots.set(slot_of(moving));
    node("x").other = "y:6379";
  }
  const std::string moving = key_in("100-199");
};

TEST_F(ProxiedTest, TheyFollowMovedToAKnownShard) {
  node("y").data[moving] = "a";
  EXPECT_EQ(reply_to({"get", moving}), "$1\r\na\r\n");
  node("x").other = "unknown:6379";
  EXPECT_EQ(reply_to({"get", moving}), "-ERR stayd: Redis is unavailable\r\n");
  EXPECT_GT(hints, 0);
}

// It would stand in the way of everybody's commands.
TEST_F(ProxiedTest, ABlockingCommandIsNotSentOnAConnectionOfAll) {
  EXPECT_TRUE(reply_to({"blpop", moving, "0"}).starts_with("-MOVED "));
  run(1'000);
  EXPECT_EQ(trust_of("y"), Trust::trusted);
  EXPECT_TRUE(std::ranges::none_of(
      node("y").seen, [](const std::string& one) { return one.starts_with("blpop"); }));
}

// --- each shard loses its own rows, and no others

// As after a power cut: the heartbeat of x is ahead of the ledger, that of y is not.
TEST_F(DividedTest, RedisIsTruthForOneShardAlone) {
  const std::string low = key_in(kLow), high = key_in(kHigh);
  reply_to({"set", low, "a"});
  reply_to({"set", high, "b"});
  run(1'000);
  store.submit();
  set.reset();
  store.crash();
  for (auto& [key, value] : node("x").data) {
    if (key.find(":canary:") == std::string::npos) continue;
    auto canary = *Canary::parse(value);
    canary.position += Hlc{1} << 28;
    value = canary.text();
  }
  start();
  ASSERT_TRUE(settled());
  run(2'000);
  node("y").listens = false;
  until([this] { return trust_of("y") == Trust::out; });
  EXPECT_EQ(reply_to({"get", high}), "$1\r\nb\r\n");  // told nil: nobody will ever adopt it again
}

TEST_F(DividedTest, AFlushVoidsNothingOfAShardThatLostIt) {
  const std::string high = key_in(kHigh);
  reply_to({"set", high, "b"});
  run(1'000);
  cluster.frozen["y:6379"] = true;
  Request& flush = ask({"flushall"});
  run(10);
  node("y").listens = false;
  cluster.frozen.clear();
  until([&] { return !flush.reply.empty(); });
  EXPECT_EQ(flush.reply, "-ERR stayd: outcome unknown, connection to Redis lost\r\n");
  EXPECT_EQ(reply_to({"get", high}), "$1\r\nb\r\n");  // y has it still
}

}  // namespace
}  // namespace stayd
