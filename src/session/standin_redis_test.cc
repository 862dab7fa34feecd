// The stand-in and derive_effects against a real redis-server: the same random commands, reply for
// reply and key for key.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>

#include "resp/compare_replies_test.h"
#include "resp/real_redis_test.h"
#include "session/apply.h"
#include "session/effects.h"
#include "session/numbers.h"
#include "session/random_commands_test.h"
#include "session/standin.h"

namespace stayd {
namespace {

using testing::canonical;
using testing::near;
using testing::picks_at_random;
using testing::RandomCommands;
using testing::RealRedis;
using testing::RedisLink;
using testing::tells_time;

constexpr std::int64_t kClockTolerance_ms = 400;

std::int64_t clock_ms() {
  // tidy: allow(clock) because a real server runs beside the test
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

struct MapWorkspace : Workspace {
  std::map<std::string, Record, std::less<>> records;
  Record& record(std::string_view key) override { return records[std::string(key)]; }
};

std::size_t grouping(std::string_view name) {
  if (name == "hkeys" || name == "hvals" || name == "sscan") return 1;
  if (name == "hscan") return 2;
  return 0;
}

std::string printable(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += "[" + word + "] ";
  return out;
}

class Comparison {
 public:
  explicit Comparison(std::uint64_t seed) : link_(server_), commands_(seed, clock_ms()) {
    link_.type("HELLO 3");
    for (const auto& script : testing::script_texts()) {
      link_.ask({"SCRIPT", "LOAD", script.text});
    }
  }

  void run(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) step(commands_.next());
    for (const char* key : {"a", "b", "c", "d", "e"}) check_key(full_key(0, key));
  }

 private:
  void step(const std::vector<std::string>& words) {
    const Args args(words.begin(), words.end());
    const CommandSpec* spec = find_command(args);
    ASSERT_NE(spec, nullptr) << printable(words);
    if (!arity_fits(*spec, args.size())) return;
    SCOPED_TRACE(printable(words));
    if (!stand_in_supports(*spec, args)) return;
    MapWorkspace scratch;
    if (picks_at_random(spec->name)) scratch = workspace_;
    MapWorkspace& workspace = picks_at_random(spec->name) ? scratch : workspace_;

    const std::int64_t wall_ms = clock_ms();
    const std::string real = link_.ask(args);
    std::string ours;
    std::vector<Mutation> effects;
    execute({.spec = spec, .args = &args, .db = 0, .wall_ms = wall_ms}, workspace, ours, effects);
    // Redis may answer one page of several; the stand-in has only one.
    if (spec->name != "sscan" || ReplyView(real).is_error()) compare(*spec, ours, real);

    follow(*spec, args, ReplyView(real), wall_ms);
    if (picks_at_random(spec->name)) {
      take_over(args[1]);
    } else {
      check_own(effects, wall_ms);
    }
    std::vector<std::uint32_t> positions;
    if (!find_keys(*spec, args, positions)) return;
    for (const std::uint32_t at : positions) check_key(full_key(0, args[at]));
  }

  static void compare(const CommandSpec& spec, const std::string& ours, const std::string& real) {
    const ReplyView a(ours);
    const ReplyView b(real);
    if (picks_at_random(spec.name)) {
      EXPECT_EQ(static_cast<char>(a.type()), static_cast<char>(b.type())) << ours << real;
      EXPECT_EQ(a.size(), b.size());
      if (b.is_error()) EXPECT_EQ(ours, real);
    } else if (tells_time(spec.name) && a.integer() && b.integer()) {
      const bool seconds = spec.name[0] != 'p';
      EXPECT_TRUE(near(*a.integer(), *b.integer(), seconds ? 1 : kClockTolerance_ms))
          << ours << real;
    } else {
      EXPECT_EQ(canonical(a, grouping(spec.name)), canonical(b, grouping(spec.name)));
    }
  }

  // The rows that follow Redis through derive_effects.
  void follow(const CommandSpec& spec, const Args& args, const ReplyView& reply,
              std::int64_t wall_ms) {
    std::vector<Mutation> mutations;
    const Effects effects = derive_effects(spec, args, 0, reply, wall_ms, mutations);
    if (effects == Effects::read_back) {
      std::vector<std::uint32_t> positions;
      const std::int64_t number = reply.integer().value_or(0);
      const bool inexact = number > 1LL << 53 || number < -(1LL << 53);
      EXPECT_TRUE(effects_need_read_back(spec, args) || reply.is_error() || inexact);
      ASSERT_TRUE(find_keys(spec, args, positions) || reply.is_error());
      for (const std::uint32_t at : positions) read_back(full_key(0, args[at]));
      return;
    }
    EXPECT_EQ(effects == Effects::known, !mutations.empty());
    for (Mutation& mutation : mutations) {
      mutation.hlc = ++hlc_;
      const FullKey key = mutation.key;
      const ApplyOutcome outcome = apply(mutation, rows_[key], wall_ms);
      EXPECT_NE(outcome, ApplyOutcome::superseded);
      if (outcome != ApplyOutcome::base_unknown) continue;
      EXPECT_EQ(rows_[key].meta.state, RowState::absent) << "the row had lost track";
      read_back(key);
    }
  }

  void read_back(const FullKey& key) {
    Mutation mutation;
    mutation.key = key;
    mutation.hlc = ++hlc_;
    mutation.record = state_in_redis(key_of(key));
    if (!mutation.record.exists()) mutation.kind = Mutation::Kind::tomb;
    apply(mutation, rows_[key], clock_ms());
  }

  Record state_in_redis(std::string_view key) {
    Record record;
    const std::string type = link_.ask({"TYPE", key});
    if (type == "+string\r\n") {
      record.value.emplace<std::string>(ReplyView(link_.ask({"GET", key})).text());
    } else if (type == "+hash\r\n") {
      auto& hash = record.value.emplace<HashValue>();
      each_pair(link_.ask({"HGETALL", key}),
                [&](const ReplyView& f, const ReplyView& v) { hash.emplace(f.text(), v.text()); });
    } else if (type == "+set\r\n") {
      auto& set = record.value.emplace<SetValue>();
      const std::string reply = link_.ask({"SMEMBERS", key});
      const ReplyView members(reply);
      ReplyView member;
      for (auto all = members.elements(); all.next(member);) set.emplace(member.text());
    } else if (type == "+zset\r\n") {
      auto& zset = record.value.emplace<SortedSetValue>();
      const std::string reply = link_.ask({"ZRANGE", key, "0", "-1", "WITHSCORES"});
      const ReplyView pairs(reply);
      ReplyView pair;
      for (auto all = pairs.elements(); all.next(pair);) {
        each_pair(std::string(pair.frame()), [&](const ReplyView& m, const ReplyView& s) {
          double score = 0;
          EXPECT_TRUE(parse_double(s.text(), score));
          zset.set(m.text(), score);
        });
      }
    } else {
      EXPECT_EQ(type, "+none\r\n");
      return record;
    }
    const std::string expiry = link_.ask({"PEXPIRETIME", key});
    record.expires_at_ms = std::max<std::int64_t>(*ReplyView(expiry).integer(), 0);
    return record;
  }

  template <class Visit>
  static void each_pair(const std::string& reply, Visit visit) {
    const ReplyView view(reply);
    ReplyView first;
    ReplyView second;
    for (auto all = view.elements(); all.next(first) && all.next(second);) visit(first, second);
  }

  // After a random pick: the stand-in goes on from what Redis has.
  void take_over(std::string_view key) {
    const FullKey full = full_key(0, key);
    workspace_.records[full] = state_in_redis(key);
    Mutation mutation;
    mutation.hlc = ++hlc_;
    mutation.record = workspace_.records[full];
    apply(mutation, own_rows_[full], clock_ms());
  }

  // The stand-in's mutations lead to the stand-in's records.
  void check_own(const std::vector<Mutation>& effects, std::int64_t wall_ms) {
    std::vector<FullKey> seen;
    ++hlc_;
    for (const Mutation& effect : effects) {
      EXPECT_EQ(std::count(seen.begin(), seen.end(), effect.key), 0) << "two mutations of one key";
      seen.push_back(effect.key);
      Mutation mutation = effect;
      mutation.hlc = hlc_;
      EXPECT_EQ(apply(mutation, own_rows_[effect.key], wall_ms), ApplyOutcome::applied);
    }
  }

  void check_key(const FullKey& key) {
    const Record real = state_in_redis(key_of(key));
    const std::int64_t now = clock_ms();
    const Record& standin = workspace_.records[key];
    const Row& row = rows_[key];
    const Row& own = own_rows_[key];
    check_same(standin.expired(now) ? Record{} : standin, real, "stand-in");
    check_same(row.meta.live_at(now) ? row.record : Record{}, real, "effects");
    check_same(own.meta.live_at(now) ? own.record : Record{}, real, "stand-in's effects");
    EXPECT_EQ(row.record.expires_at_ms, row.meta.expires_at_ms);
  }

  static void check_same(const Record& ours, const Record& real, const char* who) {
    EXPECT_TRUE(ours.value == real.value) << who;
    EXPECT_TRUE(near(ours.expires_at_ms, real.expires_at_ms, kClockTolerance_ms))
        << who << " " << ours.expires_at_ms << " " << real.expires_at_ms;
  }

  RealRedis server_;
  RedisLink link_;
  RandomCommands commands_;
  MapWorkspace workspace_;
  std::map<FullKey, Row> rows_;
  std::map<FullKey, Row> own_rows_;
  Hlc hlc_ = 0;
};

class StandInAndRedis : public ::testing::TestWithParam<int> {};

TEST_P(StandInAndRedis, SameRepliesSameKeysSameEffects) {
  const char* steps = std::getenv("STAYD_TEST_STEPS");
  Comparison(static_cast<std::uint64_t>(GetParam()))
      .run(steps != nullptr ? std::atoi(steps) : 4000);
}

INSTANTIATE_TEST_SUITE_P(Seeds, StandInAndRedis, ::testing::Range(1, 4));

}  // namespace
}  // namespace stayd
