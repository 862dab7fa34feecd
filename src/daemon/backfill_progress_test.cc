#include "daemon/backfill_progress.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace stayd {
namespace {

std::string status(bool complete, int scanned, int expected, std::string_view trust = "trusted") {
  return fmt::format(
      R"({{"adoption_complete":{},"adopted":5,"adoption_scanned":{},"adoption_expected":{},)"
      R"("shard":{{"trust":"{}","reason":"Connection refused"}}}})",
      complete, scanned, expected, trust);
}

TEST(BackfillProgress, TellsRateAndTimeLeft) {
  BackfillProgress progress;
  ASSERT_TRUE(progress.take(status(false, 10'000, 100'000), 5'000));
  EXPECT_EQ(progress.line(), "[##......................]  10%  10,000 of 100,000 keys");
  ASSERT_TRUE(progress.take(status(false, 50'000, 100'000), 7'000));
  EXPECT_EQ(progress.line(),
            "[############............]  50%  50,000 of 100,000 keys, 20,000/s, 3 s left");
  EXPECT_EQ(progress.json(), R"({"complete":false,"scanned":50000,"expected":100000,"adopted":5,)"
                             R"("keys_per_s":20000,"seconds_left":3})");
  ASSERT_TRUE(progress.take(status(true, 100'010, 100'000), 9'500));
  EXPECT_EQ(progress.line(),
            "[########################] 100%  100,010 keys seen, 5 taken over since the start");
}

TEST(BackfillProgress, OnlyTheEndIsTheEnd) {
  BackfillProgress progress;
  ASSERT_TRUE(progress.take(status(false, 120, 100), 0));
  EXPECT_EQ(progress.line(), "[#######################.]  99%  120 of 120 keys");
  EXPECT_FALSE(progress.complete());
}

TEST(BackfillProgress, WaitsForRedisAndBeginsAnew) {
  BackfillProgress progress;
  ASSERT_TRUE(progress.take(status(false, 50, 100), 0));
  ASSERT_TRUE(progress.take(status(false, 50, 100, "out"), 1'000));
  EXPECT_EQ(progress.line(),
            "[############............]  50%  50 of 100 keys, waits: Redis is out (Connection "
            "refused)");
  ASSERT_TRUE(progress.take(status(false, 10, 100), 2'000));
  ASSERT_TRUE(progress.take(status(false, 20, 100), 3'000));
  EXPECT_EQ(progress.line(), "[####....................]  20%  20 of 100 keys, 10/s, 9 s left");
}

TEST(BackfillProgress, StrangersAreNotTakenForStayd) {
  BackfillProgress progress;
  for (const char* text : {"", "[]", "{}", "{\"adoption_complete\":1}"}) {
    EXPECT_FALSE(progress.take(text, 0)) << text;
  }
}

}  // namespace
}  // namespace stayd
