// Writes that were refused, and show what is there instead: not more of it than an answer may hold.
#include <gtest/gtest.h>

#include "store/backup/database_test.h"

namespace stayd::test {
namespace {

using RefusedWrites = OnEach<DatabaseTest>;
INSTANTIATE_TEST_SUITE_P(Each, RefusedWrites, ::testing::ValuesIn(kShared), name_of);

TEST_P(RefusedWrites, ValuesBeyondTheLimitAreLeftOutAndMarked) {
  constexpr std::size_t kValue = 8 << 20, kRows = 12;  // 96 MB
  std::vector<BackupWrite> refused;
  for (std::size_t i = 0; i < kRows; ++i) {
    const FullKey row = key("row" + std::to_string(100 + i));
    client_->write_one(put_row(live_row(row, 5, std::string(kValue, 'v'))));
    refused.push_back(put_row(live_row(row, 6, "w"), Version{3, 1}));
  }
  const auto written = client_->write(refused);
  ASSERT_EQ(written.size(), kRows) << client_->last_error.message;
  std::size_t bytes = 0, marked = 0;
  for (const BackupWritten& one : written) {
    EXPECT_EQ(one.outcome, BackupOutcome::conflict);
    EXPECT_EQ(one.current.hlc, 5U);
    const std::string text = text_of(one.current);
    if (one.current.unreadable.empty()) {
      EXPECT_EQ(text.size(), kValue);
      bytes += text.size();
    } else {
      EXPECT_NE(one.current.unreadable.find("64 MB"), std::string::npos);
      EXPECT_FALSE(one.current.record.exists());
      ++marked;
    }
  }
  EXPECT_GE(bytes, kMaxBackupBytes - kValue);
  EXPECT_LE(bytes, kMaxBackupBytes + kValue);
  EXPECT_GT(marked, 0U);
  // What is asked for again alone is shown.
  const auto again = client_->write({refused.back()});
  EXPECT_EQ(again.at(0).current.unreadable, "");
}

}  // namespace
}  // namespace stayd::test
