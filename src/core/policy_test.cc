#include "core/policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace stayd {
namespace {

std::vector<std::string> words(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

// The golden file was recorded from a real Redis with random patterns and keys.
TEST(Glob, MatchesWhatRedisMatches) {
  const auto path = std::filesystem::path(__FILE__).parent_path() / "../../tests/golden/glob.txt";
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  std::string line;
  std::getline(file, line);
  std::getline(file, line);
  const auto texts = words(line);
  ASSERT_GT(texts.size(), 50u);
  int patterns = 0;
  for (; std::getline(file, line); ++patterns) {
    const std::size_t tab = line.find('\t');
    const std::string pattern = line.substr(0, tab);
    const auto expected = words(line.substr(tab + 1));
    for (const std::string& text : texts) {
      EXPECT_EQ(glob_match(pattern, text), std::ranges::count(expected, text) == 1)
          << "pattern " << pattern << ", key " << text;
    }
  }
  EXPECT_EQ(patterns, 400);
}

TEST(Glob, EmptyPatternAndText) {
  EXPECT_TRUE(glob_match("", ""));
  EXPECT_TRUE(glob_match("*", ""));
  EXPECT_FALSE(glob_match("?", ""));
  EXPECT_FALSE(glob_match("", "a"));
}

TEST(Glob, ManyStarsStayFast) {
  const std::string text(5000, 'a');
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "a*";
  EXPECT_FALSE(glob_match(pattern + "b", text));
}

TEST(PolicyTable, WithoutBlocksEveryKeyIsASession) {
  const PolicyTable table;
  ASSERT_NE(table.find("anything"), nullptr);
  ASSERT_NE(table.find(""), nullptr);
  EXPECT_EQ(table.find("x")->key_class, KeyClass::session);
  EXPECT_EQ(table.find("x")->unknown, UnknownPolicy::error);
  EXPECT_TRUE(table.everything_is_a_session());
  EXPECT_FALSE(table.any_fence());
}

TEST(PolicyTable, FirstBlockWinsAndTheRestIsNotASession) {
  const PolicyTable table({{.match = "sess:*:lock", .key_class = KeyClass::lock},
                           {.match = "sess:*", .fence = Fence::forever},
                           {.match = ""}});
  EXPECT_EQ(table.find("sess:1:lock")->key_class, KeyClass::lock);
  EXPECT_EQ(table.find("sess:1")->fence, Fence::forever);
  EXPECT_EQ(table.find("cache:1"), nullptr);
  EXPECT_EQ(table.find(""), nullptr);
  EXPECT_FALSE(table.everything_is_a_session());
  EXPECT_TRUE(table.any_fence());
}

// The engine skips find() for such tables, so a "*" with promises of its own must not count.
TEST(PolicyTable, AStarBlockIsLookedUp) {
  const PolicyTable table({{.match = "*", .unknown = UnknownPolicy::hold}});
  EXPECT_FALSE(table.everything_is_a_session());
  EXPECT_EQ(table.find("x")->unknown, UnknownPolicy::hold);
}

struct PresetCase {
  const char* preset;
  const char* key;
  KeyClass key_class;
  Fence fence;
  UnknownPolicy unknown;
};

TEST(Presets, GiveTheKeysOfTheirLibraryTheirPromises) {
  constexpr auto kSession = KeyClass::session;
  constexpr auto kLock = KeyClass::lock;
  constexpr auto kIndex = KeyClass::index;
  constexpr auto kError = UnknownPolicy::error;
  constexpr auto kHold = UnknownPolicy::hold;
  // clang-format off
  const PresetCase cases[] = {
      {"express", "sess:abc", kSession, Fence::seconds30, kError},
      {"fastify", "sess:abc", kSession, Fence::off, kError},
      {"koa", "koa:sess:abc", kSession, Fence::off, kError},
      {"koa", "0f9d3c1e-1111-4222-8333-0123456789ab", kSession, Fence::off, kError},
      {"hapi", "hapi-cache:!%40hapi%2Fyar:1", kSession, Fence::off, kError},
      {"better-auth", "better-auth:active-sessions-7", kIndex, Fence::off, kError},
      {"better-auth", "better-auth:token", kSession, Fence::off, kError},
      {"redis-sessions", "rs:app:_sessions", kIndex, Fence::off, kError},
      {"redis-sessions", "rs:app:token", kSession, Fence::off, kError},
      {"lucia", "user_sessions:1", kIndex, Fence::off, kError},
      {"django", ":1:django.contrib.sessions.cacheabc", kSession, Fence::forever, kHold},
      {"django", "p:1:django.contrib.sessions.cached_dbabc", kSession, Fence::off, kHold},
      {"django-redis-sessions", "session:abc", kSession, Fence::off, kHold},
      {"flask", "session:abc", kSession, Fence::off, kError},
      {"beaker", "beaker_lock:1", kLock, Fence::off, kError},
      {"beaker", "beaker_cache:1:session", kSession, Fence::off, kError},
      {"php", "PHPREDIS_SESSION:1_LOCK", kLock, Fence::off, kError},
      {"php", "PHPREDIS_SESSION:1", kSession, Fence::off, kHold},
      {"symfony", "sf_s1", kSession, Fence::off, kError},
      {"laravel", "laravel_database_laravel_cache:abc", kSession, Fence::off, kError},
      {"laravel", "laravel_database_laravel_cache:session:abc", kLock, Fence::off, kError},
      {"laravel", "laravel-database-laravel-cache-abc", kSession, Fence::off, kError},
      {"magento", "sess_abc", kSession, Fence::off, kError},
      {"moodle", "session_abc", kSession, Fence::off, kError},
      {"moodle", "session_abc.lock", kLock, Fence::off, kError},
      {"codeigniter", "ci_session:ci_session:a:lock", kLock, Fence::off, kError},
      {"yii", "d41d8cd98f00b204e9800998ecf8427e", kSession, Fence::off, kError},
      {"rails", "_session_id:2::ab", kSession, Fence::off, kHold},
      {"rails", "2::ab", kSession, Fence::off, kHold},
      {"gorilla", "session_ABC", kSession, Fence::off, kError},
      {"scs", "scs:session:t", kSession, Fence::off, kError},
      {"catalyst", "expires:t", kSession, Fence::off, kError},
      {"spring", "spring:session:sessions:1", kSession, Fence::off, kError},
      {"spring", "spring:session:sessions:expires:1", kSession, Fence::off, kError},
      {"spring", "spring:session:expirations:160", kIndex, Fence::off, kError},
      {"spring", "spring:session:index:PRINCIPAL_NAME_INDEX_NAME:bob", kIndex, Fence::off, kError},
      {"aspnet", "shop0f9d3c1e-1111-4222-8333-0123456789ab", kSession, Fence::off, kError},
      {"redisson", "redisson:tomcat_session:1", kSession, Fence::off, kError},
      {"tower-sessions", "abcdefghijklmnopqrstuv", kSession, Fence::forever, kError},
  };
  // clang-format on
  for (const PresetCase& c : cases) {
    const auto blocks = preset_policies(c.preset);
    ASSERT_TRUE(blocks) << c.preset;
    const PolicyTable table(*blocks);
    const SessionPolicy* found = table.find(c.key);
    ASSERT_NE(found, nullptr) << c.preset << " " << c.key;
    EXPECT_EQ(found->key_class, c.key_class) << c.preset << " " << c.key;
    EXPECT_EQ(found->fence, c.fence) << c.preset << " " << c.key;
    EXPECT_EQ(found->unknown, c.unknown) << c.preset << " " << c.key;
  }
}

TEST(PolicyTable, ANameThatSaysItIsASession) {
  EXPECT_FALSE(PolicyTable().names("sess:1"));  // everything is one: the name says nothing
  SessionPolicy sessions;
  sessions.match = "sess:*";
  SessionPolicy rest;
  rest.match = "*";
  const PolicyTable table({sessions, rest});
  EXPECT_TRUE(table.names("sess:1"));
  EXPECT_FALSE(table.names("3600"));
}

TEST(Presets, NamesAreUniqueAndKnown) {
  const auto names = preset_names();
  EXPECT_GE(names.size(), 35u);
  for (const auto name : names) {
    EXPECT_EQ(std::ranges::count(names, name), 1) << name;
    EXPECT_TRUE(preset_policies(name)) << name;
  }
  EXPECT_FALSE(preset_policies("expres"));
  EXPECT_FALSE(preset_policies(""));
}

TEST(Presets, OtherKeysAreLeftAlone) {
  const PolicyTable table(*preset_policies("php"));
  EXPECT_EQ(table.find("cache:1"), nullptr);
  const PolicyTable actix(*preset_policies("actix"));
  EXPECT_EQ(actix.find(std::string(63, 'a')), nullptr);
  EXPECT_NE(actix.find(std::string(64, 'a')), nullptr);
}

}  // namespace
}  // namespace stayd
