// MULTI, WATCH, and whatever comes while slots change their engine.
#include <gtest/gtest.h>

#include "core/shard_router.h"
#include "core/shard_router_test_util.h"

namespace stayd {
namespace {

using testing::key;
using testing::thirds;
class ShardRouterMoveTest : public testing::ShardRouterTest {};

TEST_F(ShardRouterMoveTest, ABlockRunsInOneSlot) {
  exec({{"set", key(1), "a"}, {"ping"}, {"get", key(1)}});
  EXPECT_EQ(engines[1].take_seen(), "exec");
  const auto call = exec({{"set", key(1), "a"}, {"get", key(2)}});
  EXPECT_EQ(replies[call], "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
  exec({{"ping"}});
  EXPECT_EQ(engines[0].take_seen(), "exec");
}

TEST_F(ShardRouterMoveTest, ABlockRunsWhereItsClientWatches) {
  submit({"watch", key(1)});
  submit({"watch", key(2)}, 2);
  submit({"watch", key(1, 1)});  // of another slot, of the same engine
  EXPECT_EQ(engines[1].take_seen(), "watch " + key(1) + ", watch " + key(1, 1));
  exec({}, true);
  EXPECT_EQ(engines[1].take_seen(), "exec");
  exec({{"set", key(2), "a"}}, true, 2);
  EXPECT_EQ(engines[2].take_seen(), "watch " + key(2) + ", exec");
}

TEST_F(ShardRouterMoveTest, WhatIsWatchedElsewhereIsRefused) {
  submit({"watch", key(1)});
  EXPECT_EQ(replies[submit({"watch", key(2)})],
            "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
  EXPECT_EQ(replies[exec({{"set", key(2), "a"}}, true)],
            "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
  EXPECT_EQ(engines[1].gone, std::vector<std::uint64_t>{1});  // the watch has ended
  EXPECT_EQ(engines[2].seen, "");
}

TEST_F(ShardRouterMoveTest, AnEndedWatchHoldsNothing) {
  submit({"watch", key(1)});
  EXPECT_EQ(replies[exec({{"set", key(1), "a"}, {"set", key(1, 1), "a"}}, true)],
            "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
  EXPECT_EQ(engines[1].gone, std::vector<std::uint64_t>{1});
  submit({"watch", key(1)}, 2);
  EXPECT_EQ(replies[submit({"unwatch"}, 2)], "+OK\r\n");
  EXPECT_EQ(engines[1].gone, (std::vector<std::uint64_t>{1, 2}));
}

// Nobody has looked at the key since: whoever changed it meanwhile would be overwritten.
TEST_F(ShardRouterMoveTest, AWatchDoesNotMoveWithItsSlot) {
  submit({"watch", key(0)});
  submit({"watch", key(2)}, 2);
  hold();
  const auto held = exec({{"set", key(0), "a"}}, true);
  move_slots();
  router.release();
  EXPECT_EQ(replies[held], "_\r\n");
  exec({{"set", key(2), "a"}}, true, 2);  // nothing has happened there
  EXPECT_EQ(engines[2].take_seen(), "watch " + key(2) + ", exec");
  EXPECT_EQ(engines[1].take_seen(), "");
  exec({{"set", key(0), "a"}});  // watches no more
  EXPECT_EQ(engines[1].take_seen(), "exec");
}

TEST_F(ShardRouterMoveTest, AWatchInDoubtEndsWithExecOrUnwatch) {
  submit({"watch", key(0)});
  move_slots();
  EXPECT_EQ(replies[submit({"watch", key(2)})], "+OK\r\n");
  EXPECT_EQ(replies[exec({{"set", key(2), "a"}}, true)], "_\r\n");
  submit({"watch", key(2)});
  EXPECT_EQ(engines[2].take_seen(), "watch " + key(2));
  router.set_owners(handlers(), thirds());
  EXPECT_EQ(replies[submit({"unwatch"})], "+OK\r\n");
}

// --- while slots change their engine

TEST_F(ShardRouterMoveTest, WhatIsNewForEnginesConcernedWaits) {
  const auto before = submit({"get", key(0)});
  hold();
  submit({"get", key(0)});
  submit({"get", key(2)});
  submit({"set", key(1), "a"});
  EXPECT_EQ(engines[0].take_seen(), "get " + key(0));
  EXPECT_EQ(engines[2].take_seen(), "get " + key(2));
  EXPECT_EQ(router.waiting(), 2u);
  engines[0].answer("$1\r\nx\r\n");  // what was under way ends
  EXPECT_EQ(replies[before], "$1\r\nx\r\n");
  move_slots();
  router.release();
  EXPECT_FALSE(router.holding());
  EXPECT_EQ(router.waiting(), 0u);
  EXPECT_EQ(engines[1].take_seen(), "get " + key(0) + ", set " + key(1) + " a");
}

TEST_F(ShardRouterMoveTest, OfASplitCommandOnlyPartsWait) {
  hold();
  const auto call = submit({"del", key(0), key(2)});
  EXPECT_EQ(engines[2].take_seen(), "del " + key(2));
  engines[2].answer(":1\r\n");
  router.release();
  EXPECT_EQ(engines[0].take_seen(), "del " + key(0));
  engines[0].answer(":1\r\n");
  EXPECT_EQ(replies[call], ":2\r\n");
}

TEST_F(ShardRouterMoveTest, WhatConcernsAllWaitsForAll) {
  hold();
  submit({"scan", "0"});
  submit({"dbsize"});
  submit({"flushall"});
  EXPECT_EQ(router.waiting(), 3u);
  for (auto& engine : engines) EXPECT_EQ(engine.seen, "");
  submit({"info"});
  EXPECT_EQ(engines[2].take_seen(), "info");  // any will do
  router.release();
  EXPECT_EQ(engines[0].seen, "scan 0, dbsize, flushall");
}

TEST_F(ShardRouterMoveTest, AClientThatGoesIsForgottenByAll) {
  submit({"watch", key(1)});
  router.client_gone(1);
  for (auto& engine : engines) EXPECT_EQ(engine.gone, std::vector<std::uint64_t>{1});
  exec({{"set", key(2), "a"}});
  EXPECT_EQ(engines[2].take_seen(), "exec");
}

}  // namespace
}  // namespace stayd
