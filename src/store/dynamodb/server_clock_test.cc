#include "store/dynamodb/server_clock.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/random.h"

namespace stayd::dynamo {
namespace {

constexpr std::int64_t kOffsetUs = 1'800'000'000'123'456;

TEST(ServerClock, ManyAnswersTellMoreThanWholeSeconds) {
  ServerClock clock;
  EXPECT_EQ(clock.at(5).wall_ms, 0);
  Random random(3);
  std::int64_t now_us = 77;
  std::int64_t error_ms = 0;
  for (int i = 0; i < 100; ++i) {
    now_us += 130'000 + static_cast<std::int64_t>(random.below(50'000));
    const std::int64_t there_s = (now_us + kOffsetUs) / 1'000'000;
    clock.observe(now_us - 3'000, now_us + 2'000, there_s);
    const auto reading = clock.at(now_us);
    EXPECT_LE(std::abs(reading.wall_ms - (now_us + kOffsetUs) / 1000), reading.error_ms);
    if (i == 0) EXPECT_GT(reading.error_ms, 490);
    error_ms = reading.error_ms;
  }
  EXPECT_LT(error_ms, 100);
}

TEST(ServerClock, AClockThatWasSetIsFollowed) {
  ServerClock clock;
  clock.observe(0, 1'000, 1'000);
  clock.observe(10'000'000, 10'001'000, 500);
  const auto reading = clock.at(10'000'500);
  EXPECT_LE(std::abs(reading.wall_ms - 500'500), reading.error_ms);
}

}  // namespace
}  // namespace stayd::dynamo
