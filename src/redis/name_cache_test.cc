// Scripts: what is asked, what is answered, and what is made of it. The time is the test's.
#include "redis/name_cache.h"

#include <gtest/gtest.h>

#include "redis/names_test_util.h"

namespace stayd {
namespace {

class NameCacheTest : public testing::Test {
 protected:
  static constexpr std::int64_t kMs = 1'000;

  void wait(std::int64_t ms) {
    now.mono_us += ms * kMs;
    cache.on_tick(now);
  }
  void answer(const std::string& words) { ASSERT_TRUE(resolver.answer(words)); }
  // What a connection is told that was dialled at `since_us`: "waiting", "failed: ...", addresses.
  std::string look(std::int64_t since_us) {
    const auto found = cache.look("redis", since_us, now);
    if (found.state == NameCache::Found::State::waiting) return "waiting";
    if (found.state == NameCache::Found::State::found) return cache.text("redis");
    return "failed: " + std::string(found.error);
  }
  std::string dial() { return look(now.mono_us); }
  bool left(const std::string& address) {
    return cache.has_left("redis", Address::numeric(address), now);
  }
  // The name is asked while a connection to 10.0.0.1 is up, and answers so.
  bool left_after(const std::string& words) {
    const int before = resolver.asked;
    for (int i = 0; i < 100 && resolver.asked == before; ++i) {
      wait(100);
      left("10.0.0.1");
    }
    answer(words);
    return left("10.0.0.1");
  }

  Now now{.mono_us = 1'000'000'000};
  ScriptedResolver resolver;
  EventNames log;
  Counters counters;
  NameCache cache{resolver, log, counters};
};

TEST_F(NameCacheTest, EachConnectionAsksAnewButNotMoreThanOnceASecond) {
  const std::int64_t first_us = now.mono_us;
  EXPECT_EQ(dial(), "waiting");
  EXPECT_EQ(dial(), "waiting");  // one question for both
  EXPECT_EQ(resolver.asked, 1);
  wait(20);
  answer("10.0.0.1");
  EXPECT_EQ(look(first_us), "10.0.0.1");
  wait(900);
  EXPECT_EQ(dial(), "10.0.0.1");
  EXPECT_EQ(resolver.asked, 1);
  wait(100);
  EXPECT_EQ(dial(), "waiting");
  EXPECT_EQ(resolver.asked, 2);
  answer("10.0.0.2");
  EXPECT_EQ(dial(), "10.0.0.2");
}

TEST_F(NameCacheTest, ErrorsAndSilenceChangeNothing) {
  EXPECT_EQ(dial(), "waiting");
  answer("10.0.0.1");
  wait(2'000);
  const std::int64_t refused_us = now.mono_us;
  EXPECT_EQ(dial(), "waiting");
  answer("");
  EXPECT_EQ(look(refused_us), "10.0.0.1");
  EXPECT_EQ(counters.name_failures, 1u);
  wait(2'000);
  const std::int64_t silent_us = now.mono_us;
  EXPECT_EQ(dial(), "waiting");
  wait(150);
  EXPECT_EQ(look(silent_us), "waiting");
  wait(60);
  EXPECT_EQ(look(silent_us), "10.0.0.1");
  wait(700);
  EXPECT_EQ(dial(), "10.0.0.1");  // known to be silent: not waited for
  EXPECT_EQ(resolver.asked, 3);
  answer("10.0.0.2");  // late, but an answer
  EXPECT_EQ(dial(), "10.0.0.2");
}

TEST_F(NameCacheTest, AnErrorIsNotRememberedForMoreThanASecond) {
  EXPECT_EQ(dial(), "waiting");
  answer("");
  EXPECT_EQ(dial(), "failed: unknown");
  EXPECT_EQ(resolver.asked, 1);
  wait(1'000);
  EXPECT_EQ(dial(), "waiting");
  answer("10.0.0.1");
  EXPECT_EQ(dial(), "10.0.0.1");
}

TEST_F(NameCacheTest, ANameThatIsUsedIsAskedEvery5Seconds) {
  dial();
  answer("10.0.0.1");
  const int before = resolver.asked;
  for (int i = 0; i < 600; ++i) {
    wait(100);
    EXPECT_FALSE(left("10.0.0.1"));
    if (!resolver.under_way.empty()) answer("10.0.0.1");
  }
  EXPECT_EQ(resolver.asked - before, 12);
}

TEST_F(NameCacheTest, TwoGoodAnswersWithoutTheAddress) {
  dial();
  answer("10.0.0.1");
  EXPECT_FALSE(left_after("10.0.0.2"));
  EXPECT_FALSE(left_after("10.0.0.2 10.0.0.1"));  // it is back
  EXPECT_FALSE(left_after("10.0.0.2"));
  EXPECT_FALSE(left_after(""));  // says nothing
  const std::int64_t before_us = now.mono_us;
  EXPECT_TRUE(left_after("10.0.0.2"));
  EXPECT_EQ(now.mono_us - before_us, 1'000 * kMs);  // in doubt it asks soon
  EXPECT_FALSE(left("10.0.0.2"));
}

TEST_F(NameCacheTest, AnyOrderOfTheSameAddresses) {
  dial();
  answer("10.0.0.1 10.0.0.2 ::1");
  for (const char* order : {"::1 10.0.0.2 10.0.0.1", "10.0.0.2 10.0.0.1", "10.0.0.1 ::1"}) {
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(left_after(order));
  }
}

TEST_F(NameCacheTest, MoreAddressesThanAreRemembered) {
  std::string all;
  for (std::size_t i = 1; i <= 2 * NameCache::kMaxSeen; ++i)
    all += "10.0.0." + std::to_string(i) + " ";
  dial();
  answer(all);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(left_after(all));
  for (std::size_t i = 1; i <= 2 * NameCache::kMaxSeen; ++i) {
    EXPECT_FALSE(left("10.0.0." + std::to_string(i))) << i;
  }
}

// Each answer holds one of two addresses: soon nobody is sent away any more.
TEST_F(NameCacheTest, ANameThatGivesAPartAtATime) {
  dial();
  answer("10.0.0.1");
  int times_left = 0;
  for (int round = 0; round < 20; ++round) {
    bool away = false;
    for (int i = 0; i < 6; ++i) away = left_after("10.0.0.2") || away;
    times_left += away ? 1 : 0;
    left_after("10.0.0.1");
  }
  EXPECT_EQ(times_left, 2);
  wait(NameCache::kCalmUs / kMs);
  left_after("10.0.0.1");
  EXPECT_FALSE(left_after("10.0.0.2"));
  EXPECT_TRUE(left_after("10.0.0.2"));  // as before
}

TEST_F(NameCacheTest, TellsOfANameThatHasNoAnswerForLong) {
  dial();
  answer("10.0.0.1");
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(left_after(""));
  EXPECT_EQ(log.text, "");
  left_after("");
  EXPECT_EQ(log.text, "name_unanswered ");
  left_after("10.0.0.1");
  EXPECT_EQ(log.text, "name_unanswered name_answered ");
  for (int i = 0; i < 300; ++i) {  // the question is under way all the time
    wait(100);
    left("10.0.0.1");
  }
  EXPECT_EQ(log.text, "name_unanswered name_answered name_unanswered ");
}

TEST_F(NameCacheTest, ForgetsNamesThatNobodyUses) {
  for (std::size_t i = 0; i < NameCache::kMaxNames; ++i) {
    cache.look("node" + std::to_string(i), now.mono_us, now);
    answer("10.0.0.1");
  }
  EXPECT_NE(cache.text("node7"), "");
  wait(NameCache::kUnusedUs / kMs + 1);
  dial();
  EXPECT_EQ(cache.text("node7"), "");
}

}  // namespace
}  // namespace stayd
