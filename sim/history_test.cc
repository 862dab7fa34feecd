// The checker of histories catches what it is there for.
#include "sim/history.h"

#include <gtest/gtest.h>

namespace stayd::sim {
namespace {

Operation one(Words words) {
  return {.commands = {std::move(words)}};
}

// Asks and answers one operation; false: the checker found it impossible.
bool told(KeyHistory& history, Words words, std::string_view reply, std::int64_t now_ms = 1000) {
  const int id = history.ask(one(std::move(words)), 0, now_ms);
  return history.answer(id, reply, now_ms);
}

TEST(History, FalseLogoutIsCaught) {
  KeyHistory history;
  EXPECT_TRUE(told(history, {"SET", "k", "v1"}, "+OK\r\n"));
  EXPECT_FALSE(told(history, {"GET", "k"}, "_\r\n"));
}

TEST(History, ResurrectionIsCaught) {
  KeyHistory history;
  EXPECT_TRUE(told(history, {"SET", "k", "v1"}, "+OK\r\n"));
  EXPECT_TRUE(told(history, {"DEL", "k"}, ":1\r\n"));
  EXPECT_FALSE(told(history, {"GET", "k"}, "$2\r\nv1\r\n"));
}

TEST(History, ForeignAndOldValuesAreCaught) {
  KeyHistory history;
  EXPECT_TRUE(told(history, {"SET", "k", "v1"}, "+OK\r\n"));
  EXPECT_TRUE(told(history, {"SET", "k", "v2"}, "+OK\r\n"));
  KeyHistory copy = history;
  EXPECT_FALSE(told(copy, {"GET", "k"}, "$2\r\nv1\r\n"));
  EXPECT_FALSE(told(history, {"GET", "k"}, "$5\r\nother\r\n"));
}

TEST(History, IncrementsCountOnce) {
  KeyHistory history;
  EXPECT_TRUE(told(history, {"INCR", "k"}, ":1\r\n"));
  KeyHistory copy = history;
  EXPECT_FALSE(told(copy, {"INCR", "k"}, ":3\r\n"));
  EXPECT_FALSE(told(history, {"INCR", "k"}, ":1\r\n"));
}

TEST(History, HalfAHashIsCaught) {
  KeyHistory history;
  EXPECT_TRUE(told(history, {"HSET", "k", "a", "1", "b", "1"}, ":2\r\n"));
  EXPECT_TRUE(told(history, {"HSET", "k", "a", "2", "b", "2"}, ":0\r\n"));
  EXPECT_FALSE(
      told(history, {"HGETALL", "k"}, "%2\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n"));
}

TEST(History, InDoubtMayHaveHappenedOrNot) {
  for (const auto* reply : {":1\r\n", ":2\r\n"}) {
    KeyHistory history;
    history.in_doubt(history.ask(one({"INCR", "k"}), 0, 1000), "killed", 1000);
    EXPECT_TRUE(told(history, {"INCR", "k"}, reply));
  }
}

TEST(History, ConcurrentOperationsMayTakeEitherOrder) {
  KeyHistory history;
  const int set = history.ask(one({"SET", "k", "v1"}), 0, 1000);
  EXPECT_TRUE(told(history, {"GET", "k"}, "$2\r\nv1\r\n"));
  EXPECT_FALSE(told(history, {"GET", "k"}, "_\r\n"));
  EXPECT_TRUE(history.answer(set, "+OK\r\n", 1000));
}

TEST(History, ExpiryHasItsInterval) {
  KeyHistory history;
  EXPECT_TRUE(told(history, {"SET", "k", "v1", "PX", "5000"}, "+OK\r\n", 1000));
  KeyHistory early = history;
  EXPECT_FALSE(told(early, {"GET", "k"}, "_\r\n", 3000));
  KeyHistory late = history;
  EXPECT_FALSE(told(late, {"GET", "k"}, "$2\r\nv1\r\n", 8000));
  EXPECT_TRUE(told(history, {"GET", "k"}, "_\r\n", 7000));
}

}  // namespace
}  // namespace stayd::sim
