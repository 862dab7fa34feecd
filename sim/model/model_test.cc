// The exhaustive model: what it compares worlds by, and that it finds what is wrong.
#include <gtest/gtest.h>

#include <deque>
#include <memory>

#include "core/key_table.h"
#include "sim/model/arena.h"
#include "sim/model/explorer.h"
#include "sim/model/identity.h"

namespace stayd::sim::model {
namespace {

// --- identity -------------------------------------------------------------------------------

struct Things {
  std::string text;
  std::string long_text;
  std::vector<int> numbers;
  std::deque<std::string> queue;
  std::map<std::string, std::unique_ptr<std::string>> map;
  KeyMap<int> keys;
};

template <class Action>
std::uint64_t hash_after(Action action) {
  arena::reset();
  const arena::Scope scope;
  auto* const things = new Things;  // goes with the arena
  action(*things);
  return identity(things);
}

TEST(Identity, SeesEveryValue) {
  const auto none = hash_after([](Things&) {});
  std::vector<std::uint64_t> hashes = {none};
  hashes.push_back(hash_after([](Things& t) { t.text = "a"; }));
  hashes.push_back(hash_after([](Things& t) { t.text = "b"; }));
  hashes.push_back(hash_after([](Things& t) { t.long_text = std::string(40, 'a'); }));
  hashes.push_back(hash_after([](Things& t) { t.long_text = std::string(40, 'b'); }));
  hashes.push_back(hash_after([](Things& t) { t.numbers = {1, 2}; }));
  hashes.push_back(hash_after([](Things& t) { t.numbers = {1, 3}; }));
  hashes.push_back(hash_after([](Things& t) { t.queue = {"x"}; }));
  hashes.push_back(hash_after([](Things& t) { t.queue = {"x", "y"}; }));
  hashes.push_back(hash_after([](Things& t) { t.queue = {"y", "x"}; }));
  hashes.push_back(hash_after([](Things& t) { t.map["a"] = std::make_unique<std::string>("1"); }));
  hashes.push_back(hash_after([](Things& t) { t.map["a"] = std::make_unique<std::string>("2"); }));
  hashes.push_back(hash_after([](Things& t) { t.keys["a"] = 1; }));
  hashes.push_back(hash_after([](Things& t) { t.keys["a"] = 2; }));
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(hashes[i], hashes[j]) << i << " " << j;
  }
}

TEST(Identity, DoesNotSeeWhereThingsLieOrWhatWasThereBefore) {
  const auto plain = hash_after([](Things& t) {
    t.text = "a";
    t.long_text = std::string(30, 'x');
    t.numbers = {1};
    t.queue = {"q"};
    t.map["k"] = std::make_unique<std::string>("v");
  });
  const auto roundabout = hash_after([](Things& t) {
    t.map["other"] = std::make_unique<std::string>(std::string(50, 'o'));
    t.map["k"] = std::make_unique<std::string>("v");
    t.map.erase("other");
    t.text = std::string(100, 'b');
    t.text = "a";
    t.long_text = std::string(200, 'z');
    t.long_text = std::string(30, 'x');
    t.numbers = {1, 2, 3, 4};
    t.numbers.resize(1);
    for (int i = 0; i < 40; ++i) t.queue.emplace_back("gone");
    t.queue.push_back("q");
    while (t.queue.size() > 1) t.queue.pop_front();
    t.keys["k"] = 1;
    t.keys.erase("k");
  });
  EXPECT_EQ(plain, roundabout);
}

TEST(Arena, BringsBackWhatWasSaved) {
  arena::reset();
  Things* things = nullptr;
  {
    const arena::Scope scope;
    things = new Things;
    things->queue = {"a", "b"};
  }
  const auto before = identity(things);
  arena::Snapshot saved;
  arena::save(saved);
  {
    const arena::Scope scope;
    things->queue.clear();
    for (int i = 0; i < 100; ++i) things->map[std::to_string(i)] = nullptr;
  }
  EXPECT_NE(identity(things), before);
  arena::restore(saved);
  EXPECT_EQ(identity(things), before);
  EXPECT_EQ(things->queue.back(), "b");
}

// --- exploring ------------------------------------------------------------------------------

Story story(const std::string& name, std::vector<Fault> faults) {
  for (Story& one : all_stories()) {
    if (one.name != name) continue;
    one.faults = std::move(faults);
    return one;
  }
  ADD_FAILURE() << "no story " << name;
  return {};
}

std::size_t faults_in(const Result& result) {
  std::size_t count = 0;
  for (const Step& step : result.steps) count += step.kind == Kind::fault;
  return count;
}

TEST(Model, FindsNothingWithOneFault) {
  for (const Fault fault : {Fault::lose, Fault::empty, Fault::flush, Fault::evict, Fault::pause}) {
    const Result result = explore(story("logout", {fault}), {}, {.max_faults = 1});
    EXPECT_EQ(result.violation, "") << result.narrative;
    EXPECT_TRUE(result.complete);
    EXPECT_GT(result.states, 100U);
  }
}

TEST(Model, TakesNoDifferentWorldsForTheSame) {
  const Story small = story("logout", {Fault::flush});
  const Result canonical = explore(small, {}, {.max_faults = 1, .replies = true});
  const Result raw = explore(small, {}, {.max_faults = 1, .raw = true, .replies = true});
  EXPECT_LT(canonical.states, raw.states);
  EXPECT_EQ(canonical.replies, raw.replies);
  EXPECT_GE(canonical.replies.size(), 2U);
}

TEST(Model, FindsThatAMissIsTakenForProof) {
  EngineOptions options;
  options.rules.nil_needs_proof = false;
  const Result result = explore(story("save", {Fault::flush}), options, {.max_faults = 1});
  EXPECT_NE(result.violation, "");
  EXPECT_EQ(faults_in(result), 1U);
  EXPECT_LE(result.steps.size(), 8U) << result.narrative;
  EXPECT_NE(result.narrative.find("FLUSHALL"), std::string::npos);
}

TEST(Model, FindsThatANewConnectionIsTrusted) {
  EngineOptions options;
  options.rules.new_connections_are_doubted = false;
  const Result result = explore(story("save", {Fault::restart}), options, {.max_faults = 1});
  EXPECT_NE(result.violation, "");
  EXPECT_EQ(faults_in(result), 1U);
}

TEST(Model, FindsThatDebtsAreForgotten) {
  EngineOptions options;
  options.rules.debts_hide_redis = false;
  options.rules.tombstones_are_replayed = false;
  const Result result =
      explore(story("logout", {Fault::lose, Fault::restart}), options, {.max_faults = 1});
  EXPECT_NE(result.violation, "");
}

}  // namespace
}  // namespace stayd::sim::model
