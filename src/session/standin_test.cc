// What a comparison with redis-server does not reach: expiry, opaque values, picks, limits.
#include "session/standin.h"

#include <gtest/gtest.h>

#include <map>

#include "resp/real_redis_test.h"
#include "session/script_texts_test.h"
#include "session/scripts.h"

namespace stayd {
namespace {

constexpr std::int64_t kNow = 1'700'000'000'000;

struct Fixture : ::testing::Test, Workspace {
  std::map<std::string, Record, std::less<>> records;
  std::vector<Mutation> effects;

  Record& record(std::string_view key) override { return records[std::string(key)]; }

  std::string run(const char* line, std::int64_t wall_ms = kNow) {
    const testing::Typed typed(line);
    const CommandSpec* spec = find_command(typed.args());
    EXPECT_TRUE(stand_in_supports(*spec, typed.args())) << line;
    std::string reply;
    effects.clear();
    execute({.spec = spec, .args = &typed.args(), .db = 2, .wall_ms = wall_ms}, *this, reply,
            effects);
    return reply;
  }
};
using StandIn = Fixture;

TEST_F(StandIn, AnExpiredRecordIsReplacedNeverRevived) {
  run("SET k 5 PX 100");
  EXPECT_EQ(run("GET k", kNow + 99), "$1\r\n5\r\n");
  EXPECT_EQ(run("INCR k", kNow + 100), ":1\r\n");
  ASSERT_EQ(effects.size(), 1u);
  EXPECT_EQ(effects[0].kind, Mutation::Kind::put);
  EXPECT_EQ(effects[0].record.expires_at_ms, 0);
  EXPECT_EQ(effects[0].key, full_key(2, "k"));
  EXPECT_EQ(run("TTL k", kNow + 100), ":-1\r\n");
}

TEST_F(StandIn, OpaqueValues) {
  records[full_key(2, "list")].value = OpaqueValue{std::string("\x12rest", 5)};
  records[full_key(2, "module")].value = OpaqueValue{std::string("\x07rest", 5)};
  EXPECT_EQ(run("GET list").substr(0, 10), "-WRONGTYPE");
  EXPECT_EQ(run("HGETALL list").substr(0, 10), "-WRONGTYPE");
  EXPECT_EQ(run("TYPE list"), "+list\r\n");
  EXPECT_EQ(run("TYPE module"), "-ERR stayd: this type is not available while Redis is out\r\n");
  EXPECT_EQ(run("EXPIRE list 10"), ":1\r\n");
  EXPECT_EQ(run("RENAME list other"), "+OK\r\n");
  EXPECT_EQ(records[full_key(2, "other")].type(), ValueType::opaque);
  EXPECT_EQ(run("DEL other"), ":1\r\n");
}

TEST_F(StandIn, RemovalsBuryEveryKeyNamed) {
  EXPECT_EQ(run("DEL a b a"), ":0\r\n");
  EXPECT_EQ(effects.size(), 2u);
  EXPECT_EQ(run("GETDEL a"), "_\r\n");
  EXPECT_EQ(effects.size(), 1u);
  EXPECT_EQ(run("EXPIRE a -1"), ":0\r\n");
  ASSERT_EQ(effects.size(), 1u);
  EXPECT_EQ(effects[0].kind, Mutation::Kind::tomb);
}

TEST_F(StandIn, ScanPatternsPickElements) {
  run("SADD s f1 f2 abc");
  EXPECT_EQ(run("SSCAN s 0 MATCH f[12]"), "*2\r\n$1\r\n0\r\n*2\r\n$2\r\nf1\r\n$2\r\nf2\r\n");
  EXPECT_EQ(run("SSCAN s 0 MATCH a*c COUNT 1"), "*2\r\n$1\r\n0\r\n*1\r\n$3\r\nabc\r\n");
}

TEST_F(StandIn, PicksAreDeterministicAndMembers) {
  run("SADD s a b c");
  const std::string first = run("SRANDMEMBER s");
  EXPECT_EQ(run("SRANDMEMBER s"), first);
  EXPECT_EQ(run("SPOP s"), first);
  EXPECT_EQ(run("SPOP s 5").substr(0, 2), "~2");
  ASSERT_EQ(effects.size(), 1u);
  EXPECT_EQ(effects[0].kind, Mutation::Kind::tomb);
  EXPECT_EQ(run("SPOP s"), "_\r\n");
}

TEST_F(StandIn, UnknownScriptsAreNotItsBusiness) {
  for (const char* line :
       {"EVAL \"return 1\" 0", "EVALSHA 0123456789012345678901234567890123456789 0"}) {
    const testing::Typed typed(line);
    EXPECT_FALSE(stand_in_supports(*find_command(typed.args()), typed.args())) << line;
  }
}

TEST_F(StandIn, AnotherDatabaseIsOutOfReach) {
  const testing::Typed typed("COPY a b DB 3");
  EXPECT_FALSE(stand_in_supports(*find_command(typed.args()), typed.args()));
}

TEST(CommandTable, AgreesWithTheStandIn) {
  for (const CommandSpec* spec : all_commands()) {
    const bool script = spec->handling == Handling::script;  // depends on the script
    if (spec->stand_in && !script) {
      EXPECT_TRUE(stand_in_supports(*spec, {})) << spec->name;
    }
  }
}

TEST(Scripts, KnownByTextAndBySha1) {
  for (const auto& script : testing::script_texts()) {
    EXPECT_TRUE(known_script_by_text(script.text)) << script.text;
  }
  EXPECT_EQ(known_script_by_sha1("B70C2384248F88E6B75B9F89241A180F856AD852"),
            KnownScript::compare_and_delete);
  EXPECT_FALSE(known_script_by_sha1("b70c"));
  EXPECT_FALSE(known_script_by_text("return 1"));
  EXPECT_EQ(sha1_hex("return 1"), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
}

}  // namespace
}  // namespace stayd
