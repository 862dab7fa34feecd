// The watch on nodes of a Cluster that are scripts: what it asks, what it names, what it tells.
#include "redis/cluster_watch.h"

#include <gtest/gtest.h>

#include <string>

#include "redis/cluster_watch_test_util.h"

namespace stayd {
namespace {

using testing::ClusterWatchTest;
using testing::nodes_text;

TEST_F(ClusterWatchTest, AsksAnyNodeOnceConnected) {
  wire("a").events->on_connected();
  EXPECT_NE(wire("a").sent.find("AUTH"), std::string::npos);
  EXPECT_EQ(wire("a").sent.find("TIME"), std::string::npos);
  connect("a");
  EXPECT_NE(wire("a").sent.find("$7\r\nCLUSTER\r\n$4\r\nINFO"), std::string::npos);
  EXPECT_TRUE(asked("a"));
  EXPECT_EQ(counters.connects, 0U);
}

TEST_F(ClusterWatchTest, NamesTheTopologyOfMostPrimaries) {
  connect("a");
  answer("a");
  tick();
  EXPECT_EQ(named, "");
  tick();  // b and d, which a has named, are dialled
  connect("b");
  answer("b");
  tick();
  EXPECT_EQ(named, "0-8000 at a:6379, 8001-16383 at b:6379\n");
  EXPECT_EQ(told, "topology_named ");
  EXPECT_EQ(counters.primary_switches, 0U);
  EXPECT_EQ(watch->status().config_epoch, 2U);
  EXPECT_EQ(watch->status().known, 4U);
  EXPECT_EQ(watch->status().asked, 4U);
  EXPECT_EQ(watch->status().answering, 2U);
}

TEST_F(ClusterWatchTest, AFailover) {
  settle();
  connect("d");
  answer("d", {.a_epoch = 7, .promoted = true});
  tick();
  EXPECT_EQ(told, "topology_changed ");
  EXPECT_NE(last_text.find("0-8000 moved from a:6379 to d:6379 (epoch 7)"), std::string::npos);
  EXPECT_NE(named.find("\n0-8000 at d:6379, 8001-16383 at b:6379\n"), std::string::npos);
  EXPECT_EQ(counters.primary_switches, 1U);
}

TEST_F(ClusterWatchTest, SlotsMove) {
  settle();
  watch->hint();
  tick(100);
  answer("a", {.a = "0-8002", .b = "8003-16383", .a_epoch = 3});
  tick();
  EXPECT_NE(last_text.find("8001-8002 moved from b:6379 to a:6379 (epoch 3)"), std::string::npos);
  EXPECT_EQ(counters.primary_switches, 0U);
}

// A shard that refused everything until then need not wait for its next try.
TEST_F(ClusterWatchTest, TellsOfANodeThatServesAgain) {
  settle();
  EXPECT_EQ(serve, "a b ");
  watch->doubt(true);
  for (const bool ok : {false, false, true, true}) {
    tick(260);
    answer_text("a", nodes_text("a", {}), ok);
    answer("b");
  }
  EXPECT_EQ(serve, "a b a ");
}

TEST_F(ClusterWatchTest, AsksRarelyAndOftenWhileInDoubt) {
  settle();
  tick(8'000);
  EXPECT_FALSE(asked("a"));
  tick(3'000);
  EXPECT_TRUE(asked("a"));
  answer("a");
  answer("b");
  watch->doubt(true);
  tick();
  EXPECT_TRUE(asked("a"));
  answer("a");
  tick(260);
  EXPECT_TRUE(asked("a"));
}

TEST_F(ClusterWatchTest, AsksOftenUntilThereIsATopology) {
  watch->doubt(false);
  tick(300);
  connect("a");
  answer_text("a", "a :6379@1 myself,master - 0 0 0 connected\n", false);
  EXPECT_TRUE(asked("a"));
  tick(260);
  EXPECT_TRUE(asked("a"));
}

TEST_F(ClusterWatchTest, HintsAreOne) {
  settle();
  tick(200);
  watch->hint();
  watch->hint();
  tick();
  EXPECT_TRUE(asked("a"));
  answer("a");
  answer("b");
  watch->hint();
  tick(50);
  EXPECT_FALSE(asked("a"));
  tick(50);
  EXPECT_TRUE(asked("a"));
}

TEST_F(ClusterWatchTest, AHintBesideAnAnswerOnItsWayIsNotLost) {
  settle();
  tick(200);
  watch->hint();
  tick();
  EXPECT_TRUE(asked("a"));
  watch->hint();
  tick(110);
  EXPECT_FALSE(asked("a"));
  answer("a");
  EXPECT_TRUE(asked("a"));
}

TEST_F(ClusterWatchTest, ASilentNodeIsDialledAnew) {
  settle();
  watch->hint();
  tick(200);
  tick(600);
  tick(1'100);
  EXPECT_EQ(wire("a").dials, 2);
}

TEST_F(ClusterWatchTest, ANodeThatIsGoneIsForgottenAndNotDialledForEver) {
  settle();
  ASSERT_TRUE(wire("d").open);
  const std::string without =
      "a a:6379@1 myself,master - 0 0 1 connected 0-8000\n"
      "b b:6379@1 master - 0 0 2 connected 8001-16383\n";
  watch->doubt(true);
  for (int quarter = 0; quarter < 250; ++quarter) {
    tick(250);
    if (asked("a")) answer_text("a", without);
  }
  EXPECT_EQ(watch->status().known, 3U);
  EXPECT_FALSE(wire("d").open);
}

TEST_F(ClusterWatchTest, AtMostSoManyAreAsked) {
  std::string text = "a a:6379@1 myself,master - 0 0 1 connected 0-16383\n";
  for (int n = 0; n < 50; ++n) {
    const std::string id = "m" + std::to_string(n);
    text += id + " " + id + ":6379@1 slave a 0 0 1 connected\n";
  }
  connect("a");
  answer_text("a", text);
  tick();
  EXPECT_EQ(watch->status().known, 52U);
  EXPECT_EQ(watch->status().asked, ClusterMap::kMaxAsked);
}

TEST_F(ClusterWatchTest, GoesOnWhereItWas) {
  auto with = options();
  with.known = Topology::parse("a 1 a:6379 0-8000 d:6379\nb 2 b:6379 8001-16383\n");
  start(with);
  EXPECT_EQ(wire("b").dials, 1);
  connect("a");
  answer("a");
  tick();
  EXPECT_EQ(named + told, "");
  connect("d");
  answer("d", {.a_epoch = 7, .promoted = true});
  tick();
  EXPECT_EQ(named, "0-8000 at d:6379, 8001-16383 at b:6379\n");
  EXPECT_EQ(told, "topology_changed ");
}

// Nothing is dialled before: it may be known from before a power cut.
TEST_F(ClusterWatchTest, NamesAgainWhatIsAsItWas) {
  auto with = options();
  with.known = Topology::parse("a 1 a:6379 0-8000 d:6379\nb 2 b:6379 8001-16383\n");
  start(with);
  connect("a");
  connect("b");
  answer("a");
  tick();
  EXPECT_EQ(named, "");
  answer("b");
  tick();
  EXPECT_EQ(named, "0-8000 at a:6379, 8001-16383 at b:6379\n");
  tick(20'000);
  EXPECT_EQ(named + told, "0-8000 at a:6379, 8001-16383 at b:6379\n");
}

// Slots may have left it and come back.
TEST_F(ClusterWatchTest, NamesAHigherConfigEpoch) {
  settle();
  named.clear();
  watch->hint();
  tick(100);
  answer("a", {.a_epoch = 7});
  tick();
  EXPECT_EQ(named, "0-8000 at a:6379, 8001-16383 at b:6379\n");
  EXPECT_EQ(told, "");
}

TEST_F(ClusterWatchTest, TellsThatNoneAnswersAndThatOneDoesAgain) {
  settle();
  wire("a").events->on_closed(CloseReason::refused, "Connection refused");
  wire("b").events->on_closed(CloseReason::refused, "Connection refused");
  tick(1'900);
  EXPECT_EQ(told, "");
  tick(200);
  EXPECT_EQ(told, "cluster_lost ");
  EXPECT_TRUE(watch->status().lost);
  EXPECT_NE(last_text.find("the last topology is used on"), std::string::npos);
  tick(1'000);
  connect("b");
  answer("b");
  tick();
  EXPECT_EQ(told, "cluster_lost cluster_back ");
  EXPECT_FALSE(watch->status().lost);
}

// What cannot be a Cluster is named, with the setting that names it.
TEST_F(ClusterWatchTest, AServerThatIsNoClusterIsTold) {
  const std::string refusal = "-ERR This instance has cluster support disabled\r\n";
  connect("a");
  feed("a", refusal + refusal);
  tick(2'100);
  EXPECT_EQ(watch->status().trouble, "a:6379: ERR This instance has cluster support disabled");
  EXPECT_NE(last_text.find("redis.url"), std::string::npos);
  EXPECT_NE(last_text.find("a:6379: ERR This instance"), std::string::npos);
  EXPECT_EQ(watch->status().answering, 0U);
}

TEST_F(ClusterWatchTest, AServerThatIsNoRedisIsTold) {
  wire("a").events->on_connected();
  feed("a", "HTTP/1.1 400 Bad Request\r\n");
  tick(2'100);
  EXPECT_NE(last_text.find("a:6379: Redis sent bytes that are not RESP"), std::string::npos);
}

TEST_F(ClusterWatchTest, ANodeThatIsNotInAClusterYetIsTold) {
  connect("a");
  answer_text("a", "a :6379@1 myself,master - 0 0 0 connected\n", false);
  tick(2'100);
  EXPECT_NE(last_text.find("it knows of no slots"), std::string::npos);
  EXPECT_EQ(named, "");
}

TEST_F(ClusterWatchTest, SlotsThatAreNobodysAreTold) {
  settle();
  watch->hint();
  tick(100);
  answer("a", {.a = "0-7000"});
  tick();
  tick(1'900);
  EXPECT_EQ(told, "topology_changed ");
  tick(200);
  EXPECT_EQ(told, "topology_changed cluster_slots_uncovered ");
  EXPECT_NE(last_text.find("(7001-8000)"), std::string::npos);
  EXPECT_EQ(watch->status().uncovered, "7001-8000");
  tick(5'000);
  EXPECT_EQ(told, "topology_changed cluster_slots_uncovered ");
}

// Its certificate names it.
TEST_F(ClusterWatchTest, OverTlsNodesAreDialledByTheirHostnames) {
  auto with = options();
  with.link.tls = true;
  start(with);
  connect("a");
  answer_text("a",
              "a 10.0.0.1:6379@1,a myself,master - 0 0 1 connected 0-8000\n"
              "b 10.0.0.2:6379@1,b.example master - 0 0 2 connected 8001-16383\n");
  tick();
  tick();
  EXPECT_EQ(wire("b.example").dials, 1);
}

TEST_F(ClusterWatchTest, ANewPasswordIsUsedForTheNextConnection) {
  credentials.offer("another");
  wire("a").events->on_closed(CloseReason::refused, "");
  tick(1'100);
  wire("a").sent.clear();
  wire("a").events->on_connected();
  EXPECT_NE(wire("a").sent.find("another"), std::string::npos);
}

}  // namespace
}  // namespace stayd
