// The table against the redis-server it was made from, and against itself.
#include "resp/command_table.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "resp/real_redis_test.h"

namespace stayd {
namespace {

using testing::RealRedis;
using testing::RedisLink;
using testing::Typed;

const CommandSpec& spec_of(std::string_view name) {
  const CommandSpec* spec = find_command(name);
  if (spec == nullptr) throw std::runtime_error(std::string(name));
  return *spec;
}

TEST(FindCommand, AnyLetterCaseAndSubcommands) {
  EXPECT_EQ(find_command(Args{"GeT", "k"})->name, "get");
  EXPECT_EQ(find_command(Args{"CLIENT", "SetName", "x"})->name, "client|setname");
  EXPECT_EQ(find_command("client|setname")->name, "client|setname");
  EXPECT_EQ(find_command(Args{"get", "setname"})->name, "get");
}

TEST(FindCommand, UnknownNames) {
  EXPECT_EQ(find_command(Args{}), nullptr);
  EXPECT_EQ(find_command(Args{""}), nullptr);
  EXPECT_EQ(find_command(Args{"gett"}), nullptr);
  EXPECT_EQ(find_command(Args{"client|setname", "x"}), nullptr);
  EXPECT_EQ(find_command(Args{std::string_view("get\0", 4)}), nullptr);
  EXPECT_EQ(find_command(Args{std::string(1000, 'x')}), nullptr);
  EXPECT_EQ(find_command(Args{"client", std::string(1000, 'x')})->name, "client");
  EXPECT_EQ(find_command(Args{"client"})->name, "client");
  EXPECT_EQ(find_command(Args{"client", "setinfo"})->name, "client");  // 7.2
  EXPECT_TRUE(find_command(Args{"client", "setinfo"})->container);
}

TEST(CommandTable, EveryRowIsFound) {
  std::set<std::string_view> names;
  for (const CommandSpec* spec : all_commands()) {
    EXPECT_EQ(find_command(spec->name), spec);
    names.insert(spec->name);
  }
  EXPECT_EQ(names.size(), all_commands().size());
}

TEST(CommandTable, OurColumnsAgreeWithRedisFlags) {
  for (const CommandSpec* spec : all_commands()) {
    const bool keys = spec->first_key != 0 || (spec->flags & kCmdMovableKeys) != 0;
    const std::string name(spec->name);
    switch (spec->handling) {
      case Handling::read:
      case Handling::slow_read:
        EXPECT_TRUE(keys || spec->container) << name;
        EXPECT_FALSE(spec->writes()) << name;
        break;
      case Handling::write:
      case Handling::slow_write:
        EXPECT_TRUE(keys || spec->container) << name;
        EXPECT_TRUE(spec->writes() || spec->container) << name;
        break;
      case Handling::script:
      case Handling::flush:
      case Handling::blocking:
      case Handling::transaction:
      case Handling::refused:
        break;
      default:
        EXPECT_FALSE(keys && spec->writes()) << name;
    }
    if (spec->handling == Handling::read || spec->handling == Handling::write) {
      EXPECT_EQ(spec->flags & (kCmdBlocking | kCmdAdmin | kCmdPubsub), 0u) << name;
    }
    if (spec->guard) EXPECT_EQ(spec->handling, Handling::write) << name;
  }
}

TEST(CommandTable, Samples) {
  EXPECT_EQ(spec_of("set").handling, Handling::write);
  EXPECT_FALSE(spec_of("set").guard);
  EXPECT_TRUE(spec_of("hset").guard);
  EXPECT_TRUE(spec_of("hset").stand_in);
  EXPECT_FALSE(spec_of("lpush").stand_in);
  EXPECT_TRUE(spec_of("hset").keeps_key);
  EXPECT_FALSE(spec_of("getdel").keeps_key);
  EXPECT_FALSE(spec_of("hdel").keeps_key);
  EXPECT_EQ(spec_of("memory|usage").handling, Handling::slow_read);
  EXPECT_EQ(spec_of("memory|doctor").handling, Handling::server);
  EXPECT_EQ(spec_of("object|help").handling, Handling::server);
  EXPECT_EQ(spec_of("object|encoding").handling, Handling::read);
  EXPECT_EQ(spec_of("client|kill").handling, Handling::local);
  EXPECT_EQ(spec_of("acl|whoami").handling, Handling::refused);
  EXPECT_EQ(spec_of("xread").resp2, Resp2Form::stream_map);
}

TEST(CommandTable, Arity) {
  EXPECT_TRUE(arity_fits(spec_of("get"), 2));
  EXPECT_FALSE(arity_fits(spec_of("get"), 3));
  EXPECT_TRUE(arity_fits(spec_of("set"), 9));
  EXPECT_FALSE(arity_fits(spec_of("set"), 2));
}

TEST(EqualsIgnoreCase, AsciiOnly) {
  EXPECT_TRUE(equals_ignore_case("StReAms", "streams"));
  EXPECT_FALSE(equals_ignore_case("stream", "streams"));
  EXPECT_FALSE(equals_ignore_case("\xc3", "\xe3"));
}

class CommandTableLikeRedis : public ::testing::Test {
 protected:
  RealRedis server_;
  RedisLink link_{server_};
};

// tools/command_table.py has run against the installed server.
TEST_F(CommandTableLikeRedis, RowsAreTheServersOwn) {
  const std::map<std::string_view, std::uint32_t> bits{{"write", kCmdWrite},
                                                       {"readonly", kCmdReadonly},
                                                       {"denyoom", kCmdDenyOom},
                                                       {"admin", kCmdAdmin},
                                                       {"pubsub", kCmdPubsub},
                                                       {"noscript", kCmdNoscript},
                                                       {"blocking", kCmdBlocking},
                                                       {"loading", kCmdLoading},
                                                       {"stale", kCmdStale},
                                                       {"fast", kCmdFast},
                                                       {"no_auth", kCmdNoAuth},
                                                       {"no_multi", kCmdNoMulti},
                                                       {"movablekeys", kCmdMovableKeys},
                                                       {"no_mandatory_keys", kCmdNoMandatoryKeys},
                                                       {"allow_busy", kCmdAllowBusy}};
  const std::string reply = link_.type("COMMAND");
  std::vector<ReplyView> open{ReplyView(reply)};
  std::size_t commands = 0;
  while (!open.empty()) {
    ReplyView command;
    const ReplyView list = open.back();
    open.pop_back();
    for (auto rest = list.elements(); rest.next(command); ++commands) {
      std::vector<ReplyView> column(10);
      auto columns = command.elements();
      for (ReplyView& view : column) ASSERT_TRUE(columns.next(view));
      const CommandSpec& spec = spec_of(column[0].text());
      EXPECT_EQ(spec.arity, column[1].integer());
      EXPECT_EQ(spec.first_key, column[3].integer()) << spec.name;
      EXPECT_EQ(spec.last_key, column[4].integer()) << spec.name;
      EXPECT_EQ(spec.key_step, column[5].integer()) << spec.name;
      EXPECT_EQ(spec.container, column[9].size() > 0) << spec.name;
      std::uint32_t flags = 0;
      ReplyView flag;
      for (auto names = column[2].elements(); names.next(flag);) {
        const auto bit = bits.find(flag.text());
        if (bit != bits.end()) flags |= bit->second;
      }
      EXPECT_EQ(spec.flags, flags) << spec.name;
      open.push_back(column[9]);
    }
  }
  EXPECT_EQ(commands, all_commands().size());
}

// COMMAND GETKEYS, with "Invalid arguments" for false and "no key arguments" for none.
TEST_F(CommandTableLikeRedis, KeysAsGetkeysSees) {
  for (const char* line : {"GET k",
                           "SET k v",
                           "SET k v GET",
                           "MGET a b c",
                           "MSET a 1 b 2",
                           "MSET a 1 b",
                           "DEL a b",
                           "RENAME a b",
                           "COPY a b DB 1 REPLACE",
                           "OBJECT ENCODING k",
                           "MEMORY USAGE k SAMPLES 1",

                           "BITOP AND d a b",
                           "BITFIELD k GET u8 0",
                           "BITFIELD_RO k GET u8 0",
                           "LCS a b",
                           "HSET h f v",
                           "XGROUP CREATE x g 0",
                           "XINFO STREAM x",
                           "SMOVE a b m",
                           "LMOVE a b LEFT LEFT",
                           "BLPOP a b c 0",
                           "BZPOPMIN a 0",
                           "BLMPOP 0 2 a b LEFT",
                           "BZMPOP 0 1 a MIN",
                           "WAIT 0 0",
                           "BRPOPLPUSH a b 0",
                           "LMPOP 2 a b LEFT",
                           "LMPOP 9 a b LEFT",
                           "LMPOP 2 a LEFT",
                           "LMPOP x a LEFT",
                           "ZMPOP 1 a MIN",
                           "ZUNION 2 a b WITHSCORES",
                           "ZUNION 5 a b",
                           "ZUNION 0 a",
                           "ZUNION -1 a",

                           "ZUNION 2 a b",
                           "ZUNION 3 a b",
                           "ZINTERCARD 2 a b LIMIT 1",
                           "ZUNIONSTORE d 2 a b WEIGHTS 1 2",
                           "ZUNIONSTORE d 0 a",
                           "ZUNIONSTORE d 9 a",
                           "ZDIFFSTORE d 1 a",
                           "SINTERCARD 2 a b",
                           "SINTERSTORE d a b",
                           "ZRANGESTORE d s 0 1",
                           "EVAL s 2 a b c",
                           "EVAL s 0 a",
                           "EVAL s 5 a",
                           "EVAL s x a",
                           "EVAL s -1 a",
                           "EVALSHA s 1 a b",
                           "EVAL s 1 a",
                           "EVAL_RO s 1 a",
                           "FCALL f 1 a b",
                           "FCALL_RO f 0",
                           "XREAD STREAMS a b 0 0",
                           "XREAD COUNT 1 BLOCK 0 STREAMS a 0",
                           "XREAD streams a b c",
                           "XREAD COUNT 1 a b",
                           "XREAD STREAMS STREAMS 0",
                           "XREAD COUNT STREAMS STREAMS a 0",
                           "XREAD COUNT 1 2 STREAMS",
                           "XREADGROUP GROUP g c STREAMS a b 0 0",
                           "XREADGROUP GROUP streams c STREAMS a 0",
                           "XREADGROUP GROUP g streams COUNT 1 STREAMS a 0",
                           "XADD x * f v",
                           "XCLAIM x g c 0 1-1",
                           "SORT k",
                           "SORT k STORE d",
                           "SORT k STORE",
                           "SORT k BY STORE STORE d",
                           "SORT k GET STORE d",
                           "SORT k LIMIT 0 store STORE d",
                           "SORT k STORE d STORE e",
                           "SORT k GET # STORE d ALPHA",
                           "SORT k LIMIT STORE d x",
                           "SORT_RO k BY x GET y",
                           "GEORADIUS k 1 1 1 m",
                           "GEORADIUS k 1 1 1 m STORE d",
                           "GEORADIUS k 1 1 1 m STORE",
                           "GEORADIUS k 1 1 1 m ASC storedist d",
                           "GEORADIUS k 1 1 1 m STORE d STOREDIST e",
                           "GEORADIUS STORE 1 1 1 m",
                           "GEORADIUS_RO k 1 1 1 m",
                           "GEORADIUSBYMEMBER k m 1 m STORE d",
                           "GEOSEARCHSTORE d s FROMMEMBER m BYRADIUS 1 m",
                           "MIGRATE h 1 k 0 5",
                           "MIGRATE h 1 \"\" 0 5 KEYS a b",
                           "MIGRATE h 1 k 0 5 KEYS a b",
                           "MIGRATE h 1 \"\" 0 5 COPY AUTH keys KEYS a b",
                           "MIGRATE h 1 \"\" 0 5 AUTH2 keys keys KEYS a",

                           "PUBLISH a b",
                           "SPUBLISH a b",
                           "SUBSCRIBE a",
                           "WATCH a b",
                           "RESTORE k 0 v",
                           "DUMP k",
                           "PFMERGE d a b",
                           "PFCOUNT a b",
                           "TOUCH a b",
                           "MOVE k 1"}) {
    const Typed typed(line);
    Args question{"COMMAND", "GETKEYS"};
    question.insert(question.end(), typed.args().begin(), typed.args().end());
    const std::string bytes = link_.ask(question);
    const ReplyView reply(bytes);
    std::vector<std::string> expected, found;
    ReplyView key;
    for (auto rest = reply.elements(); rest.next(key);) expected.emplace_back(key.text());
    if (reply.is_error()) expected.emplace_back(reply.text());

    const CommandSpec* spec = find_command(typed.args());
    ASSERT_NE(spec, nullptr) << line;
    std::vector<std::uint32_t> positions{99};
    if (!arity_fits(*spec, typed.args().size())) {
      found = {"ERR Invalid number of arguments specified for command"};
    } else if (!find_keys(*spec, typed.args(), positions)) {
      found = {"ERR Invalid arguments specified for command"};
    } else {
      for (const std::uint32_t at : positions) found.emplace_back(typed.args().at(at));
      if (found.empty() && (spec->flags & kCmdNoMandatoryKeys) == 0) {
        found = {"ERR The command has no key arguments"};
      }
    }
    EXPECT_EQ(found, expected) << line;
  }
}

TEST_F(CommandTableLikeRedis, RefusalsWordForWord) {
  const std::string many(200, 'x');
  const std::string part(120, 'x');
  const std::vector<Args> questions{
      {"nosuch"},
      {"NoSuch", "a", "b c"},
      {"nosuch", "a\r\nb"},
      {"no\r\nsuch"},
      {std::string_view("no\0such", 7), std::string_view("a\0b", 3), "c"},
      {many, many, many},
      {"nosuch", "", many, "z"},
      {"nosuch", part, "1234567890", "z"},
      {"client|list"},
      {"", "x"},
      {"client", "nosuch"},
      {"ClieNt", "a\nb", "c"},
      {"config", many},
      {"client"},
      {"get"},
      {"GET", "a", "b"},
      {"client", "setname"},
      {"CONFIG", "GET"},
      {"object", "encoding"},
      {"xgroup", "create", "x"}};
  for (const Args& args : questions) {
    const CommandSpec* spec = find_command(args);
    std::string error;
    if (spec == nullptr) {
      error = unknown_command_error(args);
    } else if (spec->container && args.size() > 1) {
      error = unknown_subcommand_error(args);
    } else {
      EXPECT_FALSE(arity_fits(*spec, args.size()));
      error = wrong_arity_error(*spec);
    }
    EXPECT_EQ("-" + error + "\r\n", link_.ask(args));
  }
}

}  // namespace
}  // namespace stayd
