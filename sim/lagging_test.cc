// What is held against an answer while the stayds of a fleet hear of each other by the backup
// alone.
#include <gtest/gtest.h>

#include "sim/history.h"

namespace stayd::sim {
namespace {

constexpr std::int64_t kLagMs = 1000;

class LaggingTest : public ::testing::Test {
 protected:
  LaggingTest() { history.follow_with_lag(kLagMs, "a test", 0); }
  // Asked now, answered 10 ms later.
  bool told(const Words& words, std::string text) {
    const int id = history.ask({.commands = {words}}, 0, now_ms);
    now_ms += 10;
    const bool possible = history.answer_text(id, std::move(text), now_ms);
    return possible;
  }
  void set(const std::string& value) {
    ASSERT_TRUE(told({"SET", "k", value, "EX", "3600"}, "+OK"));
  }
  bool get(const std::string& text) { return told({"GET", "k"}, text); }

  KeyHistory history;
  std::int64_t now_ms = 10'000;
};

TEST_F(LaggingTest, WhoWasLoggedInForLongerThanTheLagIs) {
  set("v1");
  EXPECT_TRUE(get("nil")) << "the others may not know yet";
  now_ms += kLagMs;
  EXPECT_FALSE(get("nil"));
  EXPECT_EQ(history.wrong(), Wrong::false_logout);
}

TEST_F(LaggingTest, WhoWasLoggedOutForLongerThanTheLagIsNot) {
  set("v1");
  now_ms += 5000;
  ASSERT_TRUE(told({"DEL", "k"}, ":1"));
  EXPECT_TRUE(get("\"v1\""));
  now_ms += kLagMs;
  EXPECT_TRUE(get("nil"));
  EXPECT_FALSE(get("\"v1\""));
  EXPECT_EQ(history.wrong(), Wrong::resurrection);
}

TEST_F(LaggingTest, ALogoutInDoubtExcusesBoth) {
  set("v1");
  history.in_doubt(history.ask({.commands = {{"DEL", "k"}}}, 0, now_ms), "a test", now_ms);
  now_ms += 5000;
  EXPECT_TRUE(get("nil"));
  EXPECT_TRUE(get("\"v1\""));
}

TEST_F(LaggingTest, ALogoutThatWasAskedBeforeTheLoginDoesNot) {
  ASSERT_TRUE(told({"GETDEL", "k"}, "nil"));
  now_ms += 2 * kLagMs;
  set("v1");
  now_ms += 2 * kLagMs;
  EXPECT_FALSE(get("nil"));
}

TEST_F(LaggingTest, AValueThatWasReplacedAloneDoesNotComeBack) {
  set("v1");
  now_ms += 5000;
  set("v2");
  EXPECT_TRUE(get("\"v1\"")) << "within the lag";
  now_ms += 2 * kLagMs;
  EXPECT_TRUE(get("\"v2\""));
  EXPECT_FALSE(get("\"v1\""));
  EXPECT_EQ(history.wrong(), Wrong::old_value);
}

TEST_F(LaggingTest, OfTwoThatWereWrittenBesideEachOtherEitherMayStay) {
  set("v1");
  now_ms += 100;
  set("v2");
  now_ms += 5000;
  EXPECT_TRUE(get("\"v1\""));
  EXPECT_FALSE(get("\"v3\""));
  EXPECT_EQ(history.wrong(), Wrong::foreign_value);
}

TEST_F(LaggingTest, WhatADeadStaydHasNotShippedMayBeLost) {
  set("v1");
  now_ms += 5000;
  set("v2");
  history.unsure_since(now_ms - 100);
  now_ms += 5000;
  EXPECT_TRUE(get("\"v1\""));
  EXPECT_FALSE(get("nil")) << "that is older";
}

TEST_F(LaggingTest, TimeTakesAKey) {
  ASSERT_TRUE(told({"SET", "k", "v1", "PX", "3000"}, "+OK"));
  now_ms += 2000;
  EXPECT_FALSE(get("nil"));
  now_ms += 1000;
  EXPECT_TRUE(get("nil"));
}

TEST_F(LaggingTest, InTheEndTheKeyHoldsWhatItMay) {
  set("v1");
  now_ms += 5000;
  EXPECT_FALSE(history.may_be(std::nullopt, now_ms, "Redis"));
  ASSERT_TRUE(told({"DEL", "k"}, ":1"));
  now_ms += 5000;
  EXPECT_TRUE(history.may_be(std::nullopt, now_ms, "Redis"));
  EXPECT_FALSE(history.may_be(Record{"v1", 0}, now_ms, "Redis"));
}

}  // namespace
}  // namespace stayd::sim
