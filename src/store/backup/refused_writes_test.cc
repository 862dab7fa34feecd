// Writes that were refused, and show what is there instead: not more of it than an answer may hold.
#include <gtest/gtest.h>

#include "store/backup/behaviour.h"
#include "store/test_backups.h"

namespace stayd::test {
namespace {

template <class Subject>
class RefusedWrites : public ::testing::Test {
 protected:
  Subject subject_;
};
using Databases = ::testing::Types<PostgresBackupSubject, MariadbBackupSubject>;
TYPED_TEST_SUITE(RefusedWrites, Databases, BackupNames);

TYPED_TEST(RefusedWrites, ValuesBeyondTheLimitAreLeftOutAndMarked) {
  constexpr std::size_t kValue = 8 << 20, kRows = 12;  // 96 MB
  const auto client = this->subject_.connect();
  std::vector<BackupWrite> refused;
  for (std::size_t i = 0; i < kRows; ++i) {
    const FullKey key = full_key(0, "row" + std::to_string(100 + i));
    client->write_one(put_row(live_row(key, 5, std::string(kValue, 'v'))));
    refused.push_back(put_row(live_row(key, 6, "w"), Version{3, 1}));
  }
  const auto written = client->write(refused);
  ASSERT_EQ(written.size(), kRows) << client->last_error.message;
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
  const auto again = client->write({refused.back()});
  EXPECT_EQ(again.at(0).current.unreadable, "");
}

}  // namespace
}  // namespace stayd::test
