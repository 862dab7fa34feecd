#include "session/effects.h"

#include <gtest/gtest.h>

#include "resp/real_redis_test.h"

namespace stayd {
namespace {

using testing::Typed;

constexpr std::int64_t kNow = 1'700'000'000'000;

struct Row {
  const char* command;
  const char* reply;
};

bool absent(const Row& row) {
  const Typed typed(row.command);
  return looks_absent(*find_command(typed.args()), typed.args(), ReplyView(row.reply));
}

TEST(LooksAbsent, RepliesThatALostKeyGivesToo) {
  for (const Row& row : std::initializer_list<Row>{
           {"get k", "_\r\n"},
           {"get k", "$-1\r\n"},
           {"getrange k 0 1", "$0\r\n\r\n"},
           {"mget a b", "*2\r\n$1\r\nx\r\n_\r\n"},
           {"exists a b", ":1\r\n"},
           {"del a", ":0\r\n"},
           {"ttl k", ":-2\r\n"},
           {"type k", "+none\r\n"},
           {"expire k 5", ":0\r\n"},
           {"persist k", ":0\r\n"},
           {"set k v xx", "_\r\n"},
           {"set k v get", "_\r\n"},
           {"rename a b", "-ERR no such key\r\n"},
           {"hget k f", "_\r\n"},
           {"hmget k f g", "*2\r\n_\r\n_\r\n"},
           {"hgetall k", "%0\r\n"},
           {"smembers k", "~0\r\n"},
           {"scard k", ":0\r\n"},
           {"smismember k a b", "*2\r\n:0\r\n:0\r\n"},
           {"hscan k 0", "*2\r\n$1\r\n0\r\n*0\r\n"},
           {"sunion a b", "~1\r\n$1\r\nx\r\n"},
           {"zrange k 0 -1", "*0\r\n"},
           {"zpopmin k", "*0\r\n"},
           {"dump k", "_\r\n"},
           {"object encoding k", "_\r\n"},
           {"hdel k f", ":0\r\n"},
           {"smove a b m", ":0\r\n"},
           {"evalsha b70c2384248f88e6b75b9f89241a180f856ad852 1 k v", ":0\r\n"},
       }) {
    EXPECT_TRUE(absent(row)) << row.command << " -> " << row.reply;
  }
}

TEST(ProvesAbsent, OnlyWhatNoPresentKeyGives) {
  const auto proves = [](const char* command, const char* reply) {
    const Typed typed(command);
    return proves_absent(*find_command(typed.args()), ReplyView(reply));
  };
  EXPECT_TRUE(proves("get k", "_\r\n"));
  EXPECT_TRUE(proves("exists k", ":0\r\n"));
  EXPECT_TRUE(proves("pttl k", ":-2\r\n"));
  EXPECT_TRUE(proves("hgetall k", "%0\r\n"));
  EXPECT_FALSE(proves("get k", "$0\r\n\r\n"));
  EXPECT_FALSE(proves("ttl k", ":-1\r\n"));
  EXPECT_FALSE(proves("hget k f", "_\r\n"));
  EXPECT_FALSE(proves("hmget k f", "*1\r\n_\r\n"));
  EXPECT_FALSE(proves("hgetall k", "-WRONGTYPE Operation against a key\r\n"));
  EXPECT_FALSE(proves("strlen k", ":0\r\n"));
}

TEST(LooksAbsent, RepliesThatOnlyAPresentKeyGives) {
  for (const Row& row : std::initializer_list<Row>{
           {"get k", "$1\r\nx\r\n"},
           {"get k", "-WRONGTYPE Operation\r\n"},
           {"set k v", "+OK\r\n"},
           {"set k v nx", "_\r\n"},
           {"setnx k v", ":0\r\n"},
           {"incr k", ":0\r\n"},
           {"hset k f v", ":0\r\n"},
           {"sadd k m", ":0\r\n"},
           {"exists a b", ":2\r\n"},
           {"ttl k", ":-1\r\n"},
           {"mget a b", "*2\r\n$1\r\nx\r\n$1\r\ny\r\n"},
           {"hmget k f g", "*2\r\n_\r\n$1\r\ny\r\n"},
           {"hgetall k", "%1\r\n$1\r\nf\r\n$1\r\nv\r\n"},
           {"type k", "+string\r\n"},
       }) {
    EXPECT_FALSE(absent(row)) << row.command << " -> " << row.reply;
  }
}

TEST(IsRemoval, WholeKeysWhateverTheyHold) {
  const auto removal = [](const char* line) {
    const Typed typed(line);
    return is_removal(*find_command(typed.args()), typed.args(), kNow);
  };
  for (const char* line : {"DEL a b", "UNLINK a", "GETDEL a", "EXPIRE a 0", "EXPIRE a -1",
                           "PEXPIRE a 0", "EXPIREAT a 1", "PEXPIREAT a 1", "GETEX a PXAT 1"}) {
    EXPECT_TRUE(removal(line)) << line;
  }
  for (const char* line : {"EXPIRE a 1", "EXPIRE a -1 NX", "EXPIRE a x", "GETEX a EX 5", "GETEX a",
                           "SET a b", "HDEL a f", "EXPIREAT a 9999999999", "PERSIST a"}) {
    EXPECT_FALSE(removal(line)) << line;
  }
}

TEST(NeedReadBack, OnlyWhatTheReplyDoesNotTell) {
  const auto read_back = [](const char* line) {
    const Typed typed(line);
    return effects_need_read_back(*find_command(typed.args()), typed.args());
  };
  for (const char* line :
       {"APPEND k v", "SETRANGE k 0 v", "SETBIT k 0 1", "LPUSH k v", "XADD k * f v", "RENAME a b",
        "COPY a b", "SUNIONSTORE a b", "RESTORE k 0 x", "SORT k STORE d", "ZADD k NX 1 m",
        "ZREMRANGEBYRANK k 0 1", "EVAL x 1 k", "FCALL f 1 k", "BLPOP k 0"}) {
    EXPECT_TRUE(read_back(line)) << line;
  }
  for (const char* line :
       {"SET k v EX 5", "GET k", "SORT k", "ZADD k 1 m", "HSET k f v", "DEL k", "FLUSHALL",
        "EVAL_RO x 1 k", "EVALSHA b70c2384248f88e6b75b9f89241a180f856ad852 1 k v", "PING"}) {
    EXPECT_FALSE(read_back(line)) << line;
  }
}

TEST(DeriveEffects, ErrorsChangeNothingButScriptsMayHave) {
  const auto derive = [](const char* line, const char* reply) {
    const Typed typed(line);
    std::vector<Mutation> out;
    return derive_effects(*find_command(typed.args()), typed.args(), 0, ReplyView(reply), kNow,
                          out);
  };
  EXPECT_EQ(derive("SET k v", "-OOM command not allowed\r\n"), Effects::none);
  EXPECT_EQ(derive("LPUSH k v", "-WRONGTYPE x\r\n"), Effects::none);
  EXPECT_EQ(derive("EVAL x 1 k", "-ERR user_script\r\n"), Effects::read_back);
  EXPECT_EQ(derive("EVALSHA x 1 k", "-NOSCRIPT No matching script.\r\n"), Effects::none);
  EXPECT_EQ(derive("EVAL x 1 k", "-NOPERM this user has no permissions\r\n"), Effects::none);
  EXPECT_EQ(derive("BLPOP k 0", "_\r\n"), Effects::none);
  EXPECT_EQ(derive("RENAMENX a b", ":0\r\n"), Effects::none);
}

}  // namespace
}  // namespace stayd
