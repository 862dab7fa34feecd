#include "tests/differential/judge.h"

#include <gtest/gtest.h>

namespace stayd::differential {
namespace {

using Words = std::vector<std::string>;

bool same(const Words& words, std::string_view a, std::string_view b, JudgeOptions options = {}) {
  return !Judge(options).check(words, a, b);
}

TEST(Judge, ByteForByte) {
  EXPECT_TRUE(same({"GET", "k"}, "$1\r\na\r\n", "$1\r\na\r\n"));
  EXPECT_FALSE(same({"GET", "k"}, "$1\r\na\r\n", "$1\r\nb\r\n"));
  EXPECT_FALSE(same({"GET", "k"}, "$1\r\na\r\n", "$-1\r\n"));
  EXPECT_FALSE(same({"GET", "k"}, "$-1\r\n", "_\r\n"));
  EXPECT_FALSE(same({"GET", "k"}, "-ERR a\r\n", "-ERR b\r\n"));
  EXPECT_FALSE(same({"ZRANGE", "k", "0", "-1"}, "*2\r\n:1\r\n:2\r\n", "*2\r\n:2\r\n:1\r\n"));
}

TEST(Judge, WhatHasNoOrder) {
  EXPECT_TRUE(same({"keys", "*"}, "*2\r\n:1\r\n:2\r\n", "*2\r\n:2\r\n:1\r\n"));
  EXPECT_FALSE(same({"KEYS", "*"}, "*2\r\n:1\r\n:2\r\n", "*2\r\n:2\r\n:2\r\n"));
  EXPECT_TRUE(same({"SMEMBERS", "k"}, "~2\r\n:1\r\n:2\r\n", "~2\r\n:2\r\n:1\r\n"));
  EXPECT_FALSE(same({"SMEMBERS", "k"}, "~2\r\n:1\r\n:2\r\n", "*2\r\n:2\r\n:1\r\n"));
  const auto* ab = "*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n";
  const auto* ba = "*4\r\n:3\r\n:4\r\n:1\r\n:2\r\n";
  const auto* mixed = "*4\r\n:3\r\n:2\r\n:1\r\n:4\r\n";
  EXPECT_TRUE(same({"HGETALL", "k"}, ab, ba));
  EXPECT_FALSE(same({"HGETALL", "k"}, ab, mixed));
  EXPECT_FALSE(same({"HGETALL", "k"}, ab, ba, {.hashes_in_order = true}));
}

TEST(Judge, Pages) {
  const auto* whole = "*2\r\n$1\r\n0\r\n*2\r\n:1\r\n:2\r\n";
  EXPECT_TRUE(same({"SSCAN", "k", "0"}, whole, "*2\r\n$1\r\n0\r\n*2\r\n:2\r\n:1\r\n"));
  EXPECT_FALSE(same({"SSCAN", "k", "0"}, whole, "*2\r\n$1\r\n0\r\n*1\r\n:2\r\n"));
  EXPECT_TRUE(same({"SSCAN", "k", "0"}, whole, "*2\r\n$1\r\n5\r\n*1\r\n:2\r\n"));
  EXPECT_FALSE(same({"SSCAN", "k", "0"}, whole, "*2\r\n$1\r\nx\r\n*1\r\n:2\r\n"));
  EXPECT_FALSE(same({"SSCAN", "k", "0"}, "-ERR invalid cursor\r\n", whole));
  const auto* pairs = "*2\r\n$1\r\n0\r\n*2\r\n:1\r\n:2\r\n";
  EXPECT_FALSE(same({"HSCAN", "k", "0"}, pairs, "*2\r\n$1\r\n0\r\n*2\r\n:2\r\n:1\r\n"));
}

TEST(Judge, TimesMayDifferALittle) {
  EXPECT_TRUE(same({"TTL", "k"}, ":100\r\n", ":101\r\n"));
  EXPECT_FALSE(same({"TTL", "k"}, ":100\r\n", ":110\r\n"));
  EXPECT_FALSE(same({"TTL", "k"}, ":-1\r\n", ":-2\r\n"));
  EXPECT_FALSE(same({"PTTL", "k"}, ":100000\r\n", ":-1\r\n"));
}

TEST(Judge, PicksMustHaveBeenThere) {
  Judge judge;
  const Words members{"SMEMBERS", "k"};
  const Words pick{"SRANDMEMBER", "k", "1"};
  const auto* set = "*2\r\n$1\r\na\r\n$1\r\nb\r\n";
  EXPECT_FALSE(judge.check(members, set, set));
  EXPECT_FALSE(judge.check(pick, "*1\r\n$1\r\na\r\n", "*1\r\n$1\r\nb\r\n"));
  EXPECT_FALSE(judge.check(members, set, set));
  EXPECT_TRUE(judge.check(pick, "*1\r\n$1\r\na\r\n", "*1\r\n$1\r\nc\r\n"));
  EXPECT_FALSE(judge.check(members, set, set));
  EXPECT_TRUE(judge.check(pick, "*1\r\n$1\r\na\r\n", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"));
}

TEST(Judge, EachReplyOfABlockByItsCommand) {
  Judge judge;
  const Words multi{"MULTI"}, keys{"KEYS", "*"}, get{"GET", "k"}, exec{"EXEC"};
  const auto block = [&](std::string_view reply) {
    EXPECT_FALSE(judge.check(multi, "+OK\r\n", "+OK\r\n"));
    EXPECT_FALSE(judge.check(keys, "+QUEUED\r\n", "+QUEUED\r\n"));
    EXPECT_FALSE(judge.check(get, "+QUEUED\r\n", "+QUEUED\r\n"));
    return !judge.check(exec, "*2\r\n*2\r\n:1\r\n:2\r\n$1\r\na\r\n", reply);
  };
  EXPECT_TRUE(block("*2\r\n*2\r\n:2\r\n:1\r\n$1\r\na\r\n"));
  EXPECT_FALSE(block("*2\r\n*2\r\n:2\r\n:1\r\n$1\r\nb\r\n"));
  EXPECT_FALSE(block("*1\r\n*2\r\n:2\r\n:1\r\n"));
  EXPECT_FALSE(block("*-1\r\n"));
}

}  // namespace
}  // namespace stayd::differential
