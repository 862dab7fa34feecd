// Copies and parts of commands, and what their replies amount to.
#include "core/split.h"

#include <gtest/gtest.h>

#include "resp/command_table.h"

namespace stayd {
namespace {

std::string text(const Args& args) {
  std::string out;
  for (const auto arg : args) out.append(out.empty() ? "" : " ").append(arg);
  return out;
}

Call call_of(const Args& args) {
  Call call;
  call.args = args;
  call.spec = find_command(args);
  call.db = 0;
  call.client_id = 7;
  return call;
}

std::vector<Part> split(const Call& call) {
  std::vector<std::uint32_t> positions;
  EXPECT_TRUE(find_keys(*call.spec, call.args, positions));
  return split_by_slot(call, positions);
}

TEST(Split, ACopyStandsOnItsOwn) {
  const std::string binary("a\r\n$1\0b", 7);
  std::unique_ptr<Call> copy;
  {
    const std::string other = binary;
    copy = copy_of(call_of({"set", other, ""}));
  }
  ASSERT_EQ(copy->args.size(), 3u);
  EXPECT_EQ(copy->args[1], binary);
  EXPECT_EQ(copy->args[2], "");
  EXPECT_EQ(copy->raw, "*3\r\n$3\r\nset\r\n$7\r\n" + binary + "\r\n$0\r\n\r\n");
  EXPECT_EQ(copy->client_id, 7u);
  EXPECT_EQ(copy->spec->name, "set");
}

TEST(Split, APartHasTheKeysOfOneSlot) {
  const Call call = call_of({"mget", "{a}1", "b", "{a}2", "b"});
  const auto parts = split(call);
  ASSERT_EQ(parts.size(), 2u);
  const bool a_first = parts[0].call->args[1] != "b";
  EXPECT_EQ(text(parts[a_first ? 0 : 1].call->args), "mget {a}1 {a}2");
  EXPECT_EQ(parts[a_first ? 0 : 1].elements, (std::vector<std::uint32_t>{0, 2}));
  EXPECT_EQ(text(parts[a_first ? 1 : 0].call->args), "mget b b");
  EXPECT_EQ(parts[a_first ? 1 : 0].elements, (std::vector<std::uint32_t>{1, 3}));
}

TEST(Split, MsetTakesItsValuesAlong) {
  const Call call = call_of({"mset", "a", "1", "b", "2", "a", "3"});
  std::string all;
  for (const Part& part : split(call)) all += text(part.call->args) + ";";
  EXPECT_TRUE(all == "mset a 1 a 3;mset b 2;" || all == "mset b 2;mset a 1 a 3;") << all;
}

TEST(Split, OnlyWhatCanBeJoinedIsSplit) {
  for (const Args& args : {Args{"msetnx", "a", "1"}, Args{"rename", "a", "b"}, Args{"get", "a"},
                           Args{"pfcount", "a", "b"}, Args{"blpop", "a", "b", "0"}}) {
    EXPECT_EQ(join_of_keys(*find_command(args)), Join::none) << args[0];
  }
  for (const Args& args : {Args{"info"}, Args{"scan", "0"}, Args{"ping"}, Args{"time"}}) {
    EXPECT_EQ(join_of_all(*find_command(args)), Join::none) << args[0];
  }
}

TEST(Split, RepliesAreJoined) {
  const Call call = call_of({"mget", "a", "b"});
  const auto parts = split(call);
  EXPECT_EQ(join(Join::sum, parts, {":2\r\n", ":-1\r\n"}), ":1\r\n");
  EXPECT_EQ(join(Join::all_ok, parts, {"+OK\r\n", "+OK\r\n"}), "+OK\r\n");
  EXPECT_EQ(join(Join::append, parts, {"*1\r\n$1\r\nx\r\n", "*0\r\n"}), "*1\r\n$1\r\nx\r\n");
  EXPECT_EQ(join(Join::found, parts, {"_\r\n", "$1\r\nx\r\n"}), "$1\r\nx\r\n");
  EXPECT_EQ(join(Join::found, parts, {"_\r\n", "_\r\n"}), "_\r\n");
  for (const Join how : {Join::sum, Join::all_ok, Join::append, Join::found, Join::in_place}) {
    EXPECT_EQ(join(how, parts, {"_\r\n", "-ERR no\r\n"}), "-ERR no\r\n");
  }
}

}  // namespace
}  // namespace stayd
