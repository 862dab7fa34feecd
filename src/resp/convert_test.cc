#include "resp/convert.h"

#include <gtest/gtest.h>

#include <string>

#include "resp/real_redis_test.h"

namespace stayd {
namespace {

using testing::Typed;

std::string converted(std::string_view frame, std::string_view line = "") {
  const Typed typed(line);
  std::string out;
  append_resp2(out, frame, find_command(typed.args()), typed.args());
  return out;
}

TEST(Convert, GeneralRules) {
  EXPECT_EQ(converted("+OK\r\n"), "+OK\r\n");
  EXPECT_EQ(converted("-ERR x\r\n"), "-ERR x\r\n");
  EXPECT_EQ(converted("$2\r\nab\r\n"), "$2\r\nab\r\n");
  EXPECT_EQ(converted("_\r\n"), "$-1\r\n");
  EXPECT_EQ(converted("#t\r\n"), ":1\r\n");
  EXPECT_EQ(converted("#f\r\n"), ":0\r\n");
  EXPECT_EQ(converted(",1.5\r\n"), "$3\r\n1.5\r\n");
  EXPECT_EQ(converted("(123\r\n"), "$3\r\n123\r\n");
  EXPECT_EQ(converted("=6\r\ntxt:ab\r\n"), "$2\r\nab\r\n");
  EXPECT_EQ(converted("!7\r\nERR a\nb\r\n"), "-ERR a b\r\n");
  EXPECT_EQ(converted("%1\r\n+a\r\n~2\r\n:1\r\n_\r\n"), "*2\r\n+a\r\n*2\r\n:1\r\n$-1\r\n");
  EXPECT_EQ(converted(">1\r\n+x\r\n"), "*1\r\n+x\r\n");
  EXPECT_EQ(converted("*-1\r\n"), "*-1\r\n");
  EXPECT_EQ(converted("*2\r\n$-1\r\n*-1\r\n"), "*2\r\n$-1\r\n*-1\r\n");
}

TEST(Convert, AttributesVanishAndStreamsAreJoined) {
  EXPECT_EQ(converted("|1\r\n+ttl\r\n:3\r\n+OK\r\n"), "+OK\r\n");
  EXPECT_EQ(converted("*2\r\n|1\r\n+a\r\n*1\r\n:9\r\n:1\r\n:2\r\n"), "*2\r\n:1\r\n:2\r\n");
  EXPECT_EQ(converted("$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n"), "$5\r\nHello\r\n");
  EXPECT_EQ(converted("$?\r\n;0\r\n"), "$0\r\n\r\n");
  EXPECT_EQ(converted("*?\r\n:1\r\n%?\r\n+a\r\n_\r\n.\r\n.\r\n"),
            "*2\r\n:1\r\n*2\r\n+a\r\n$-1\r\n");
}

TEST(Convert, WithoutACommandTheGeneralRulesHold) {
  std::string out;
  append_resp2(out, "*1\r\n*2\r\n+a\r\n,1\r\n", nullptr, {});
  EXPECT_EQ(out, "*1\r\n*2\r\n+a\r\n$1\r\n1\r\n");
}

}  // namespace
}  // namespace stayd
