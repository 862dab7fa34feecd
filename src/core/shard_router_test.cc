// Which engine of a Cluster gets which command, and what becomes of several replies.
#include "core/shard_router.h"

#include <gtest/gtest.h>

#include "core/shard_router_test_util.h"
#include "resp/reply.h"

namespace stayd {
namespace {

using testing::FakeEngine;
using testing::kEngines;
using testing::key;
using testing::ShardRouterTest;
using testing::Words;

TEST_F(ShardRouterTest, ACommandGoesToTheEngineOfItsSlot) {
  for (int i = 0; i < kEngines; ++i) {
    const auto call = submit({"get", key(i)});
    EXPECT_EQ(engines[i].take_seen(), "get " + key(i));
    engines[i].answer("$1\r\nx\r\n");
    EXPECT_EQ(replies[call], "$1\r\nx\r\n");
  }
}

TEST_F(ShardRouterTest, SeveralKeysOfOneSlotStayOneCommand) {
  const std::string one = "{" + key(1) + "}a", two = "{" + key(1) + "}b";
  submit({"sinterstore", one, two});
  EXPECT_EQ(engines[1].take_seen(), "sinterstore " + one + " " + two);
  submit({"del", one, two});
  EXPECT_EQ(engines[1].take_seen(), "del " + one + " " + two);
}

TEST_F(ShardRouterTest, KeysOfSeveralSlotsAreRefusedWhereTheyCannotBeSplit) {
  // Of two slots of one engine too, as a node of the Cluster would.
  for (const Words& words :
       {Words{"sinterstore", key(0), key(1)}, Words{"rename", key(0), key(0, 1)},
        Words{"msetnx", key(0), "1", key(1), "2"},
        Words{"eval", "return 1", "2", key(0), key(2)}}) {
    const auto call = submit(words);
    EXPECT_EQ(replies[call], "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
  }
  for (auto& engine : engines) EXPECT_EQ(engine.seen, "");
}

TEST_F(ShardRouterTest, CountsOfAllPartsAreAddedUp) {
  for (const char* name : {"del", "unlink", "exists", "touch"}) {
    const auto call = submit({name, key(0), key(1), key(0)});
    EXPECT_EQ(engines[0].take_seen(), name + (" " + key(0)) + " " + key(0));
    EXPECT_EQ(engines[1].take_seen(), name + (" " + key(1)));
    engines[0].answer(":2\r\n");
    EXPECT_EQ(replies[call], "");
    engines[1].answer(":1\r\n");
    EXPECT_EQ(replies[call], ":3\r\n");
  }
}

TEST_F(ShardRouterTest, MgetAnswersInTheOrderThatWasAsked) {
  const auto call = submit({"mget", key(2), key(0), key(2), key(1)});
  engines[1].answer("*1\r\n_\r\n");
  engines[2].answer("*2\r\n$1\r\nc\r\n$1\r\nc\r\n");
  engines[0].answer("*1\r\n$1\r\na\r\n");
  EXPECT_EQ(replies[call], "*4\r\n$1\r\nc\r\n$1\r\na\r\n$1\r\nc\r\n_\r\n");
}

TEST_F(ShardRouterTest, MsetIsOkWhenAllPartsAre) {
  auto call = submit({"mset", key(0), "a", key(1), "b", key(0), "c"});
  EXPECT_EQ(engines[0].take_seen(), "mset " + key(0) + " a " + key(0) + " c");
  EXPECT_EQ(engines[1].take_seen(), "mset " + key(1) + " b");
  engines[0].answer("+OK\r\n");
  engines[1].answer("+OK\r\n");
  EXPECT_EQ(replies[call], "+OK\r\n");
}

TEST_F(ShardRouterTest, AValueThatMissesInMsetIsAnError) {
  const auto call = submit({"mset", key(0), "a", key(1)});
  EXPECT_EQ(replies[call], "-ERR wrong number of arguments for 'mset' command\r\n");
  EXPECT_EQ(engines[0].seen + engines[1].seen, "");
}

// UNKNOWN of one key is not nil of it (I5).
TEST_F(ShardRouterTest, AnErrorOfOnePartIsTheReply) {
  for (const Words& words : {Words{"mget", key(0), key(1)}, Words{"del", key(0), key(1)},
                             Words{"mset", key(0), "a", key(1), "b"}}) {
    const auto call = submit(words);
    engines[1].answer("-TRYAGAIN stayd: session state temporarily unknown\r\n");
    EXPECT_EQ(replies[call], "");
    engines[0].answer(words[0] == "mget" ? "*1\r\n_\r\n" : ":1\r\n");
    EXPECT_EQ(replies[call], "-TRYAGAIN stayd: session state temporarily unknown\r\n");
  }
}

TEST_F(ShardRouterTest, KeysOfASplitCommandAreSeenByItsClient) {
  const auto call = submit({"mget", key(0), key(1)});
  EXPECT_EQ(calls[call]->keys, (std::vector<FullKey>{full_key(0, key(0)), full_key(0, key(1))}));
}

// The client's next command comes inside the reply.
TEST_F(ShardRouterTest, ASplitMayEndInsideTheNextCommand) {
  for (auto& engine : engines) engine.at_once = ":1\r\n";
  on_answer = [this] { submit({"exists", key(1), key(2)}); };
  submit({"del", key(0), key(1), key(2)});
  EXPECT_EQ(replies, (std::vector<std::string>{":3\r\n", ":2\r\n"}));
}

TEST_F(ShardRouterTest, CommandsOverAllKeysGoToAllEngines) {
  auto call = submit({"dbsize"});
  for (auto& engine : engines) engine.answer(":4\r\n");
  EXPECT_EQ(replies[call], ":12\r\n");
  call = submit({"keys", "*"});
  for (auto& engine : engines) engine.answer("*2\r\n$1\r\na\r\n$1\r\nb\r\n");
  EXPECT_TRUE(replies[call].starts_with("*6\r\n")) << replies[call];
  call = submit({"randomkey"});
  engines[0].answer("_\r\n");
  engines[1].answer("$1\r\nx\r\n");
  engines[2].answer("_\r\n");
  EXPECT_EQ(replies[call], "$1\r\nx\r\n");
  call = submit({"script", "load", "return 1"});
  for (auto& engine : engines) engine.answer("$3\r\nsha\r\n");
  EXPECT_EQ(replies[call], "$3\r\nsha\r\n");
}

TEST_F(ShardRouterTest, NothingIsFlushedWhileAShardIsOut) {
  engines[1].answers = false;
  auto call = submit({"flushall"});
  EXPECT_EQ(replies[call], "-ERR stayd: a shard of Redis is out, it cannot be flushed now\r\n");
  EXPECT_EQ(engines[0].seen, "");
  engines[1].answers = true;
  call = submit({"flushall"});
  for (auto& engine : engines) engine.answer("+OK\r\n");
  EXPECT_EQ(replies[call], "+OK\r\n");
}

TEST_F(ShardRouterTest, WithoutKeysAnEngineThatHasRedisAnswers) {
  engines[0].answers = false;
  submit({"info"});
  EXPECT_EQ(engines[1].take_seen(), "info");
  for (auto& engine : engines) engine.answers = false;
  EXPECT_FALSE(router.redis_answers());
  submit({"info"});
  EXPECT_EQ(engines[0].take_seen(), "info");
}

TEST_F(ShardRouterTest, ThereIsOneDatabase) {
  for (const Words& words : {Words{"move", key(0), "1"}, Words{"swapdb", "0", "1"},
                             Words{"copy", "a", "a", "DB", "1"}}) {
    EXPECT_EQ(replies[submit(words)],
              "-ERR stayd: a Redis Cluster has database 0 and no other\r\n");
  }
  EXPECT_EQ(replies[exec({{"set", "a", "1"}, {"select", "1"}})],
            "-ERR stayd: a Redis Cluster has database 0 and no other\r\n");
}

// --- SCAN

std::string page(std::uint64_t cursor, std::string_view key) {
  std::string out;
  write_array(out, 2);
  write_bulk(out, std::to_string(cursor));
  write_array(out, 1);
  write_bulk(out, key);
  return out;
}

TEST_F(ShardRouterTest, ScanGoesFromEngineToEngine) {
  std::string cursor = "0", found, asked;
  // Each has two pages; the second engine has its second one from the ledger.
  const std::uint64_t ledger = (std::uint64_t{1} << 63) | 5;
  const std::uint64_t middle[] = {7, ledger, 1'234'567'890'123};
  for (int i = 0; i < 2 * kEngines; ++i) {
    const auto call = submit({"scan", cursor, "COUNT", "9"});
    FakeEngine& engine = engines[i / 2];
    asked += engine.take_seen() + ";";
    engine.answer(page(i % 2 == 0 ? middle[i / 2] : 0, std::to_string(i)));
    auto parts = ReplyView(replies[call]).elements();
    ReplyView next, keys, key;
    ASSERT_TRUE(parts.next(next) && parts.next(keys));
    cursor = next.text();
    auto elements = keys.elements();
    while (elements.next(key)) found += key.text();
  }
  EXPECT_EQ(cursor, "0");
  EXPECT_EQ(found, "012345");
  EXPECT_EQ(asked,
            "scan 0 COUNT 9;scan 7 COUNT 9;scan 0 COUNT 9;scan 9223372036854775813 COUNT 9;"
            "scan 0 COUNT 9;scan 1234567890123 COUNT 9;");
}

TEST_F(ShardRouterTest, ScanTellsErrorsAsTheyAre) {
  auto call = submit({"scan", "0"});
  engines[0].answer("-ERR stayd: Redis is out and not every key is known yet\r\n");
  EXPECT_EQ(replies[call], "-ERR stayd: Redis is out and not every key is known yet\r\n");
  engines[0].take_seen();
  submit({"scan", "nonsense"});
  EXPECT_EQ(engines[0].take_seen(), "scan nonsense");
  submit({"scan", "1000"});  // of an engine that there is no more
  EXPECT_EQ(engines[2].take_seen(), "scan 0");
}

}  // namespace
}  // namespace stayd
