// What may go is judged by the database's clock, as it is by those who write, and not by that of
// the machine on which somebody says `stayd backup purge`.
#include <gtest/gtest.h>

#include "store/backup/database_test.h"

namespace stayd::test {
namespace {

// In two days, or two days ago.
BackupOptions off_by_days(BackupOptions options, int days) {
  options.now = [days] {
    Now now = real_now();
    now.wall_ms += days * 24 * 3'600'000LL;
    return now;
  };
  return options;
}

using Purge = OnEach<DatabaseTest>;
INSTANTIATE_TEST_SUITE_P(Each, Purge, ::testing::ValuesIn(kShared), name_of);

TEST_P(Purge, ItJudgesByTheDatabasesClock) {
  const std::int64_t now_ms = real_now().wall_ms;  // tidy: allow(clock) because of what is purged
  client_->write({put_row(tomb_row(key("past"), 1, now_ms - 60'000)),
                  put_row(tomb_row(key("future"), 1, now_ms + 3'600'000)),
                  put_row(live_row(key("lives"), 1, "v", now_ms + 3'600'000))});
  for (const auto& [days, removed] : {std::pair(-2, 1), std::pair(2, 0)}) {
    const BackupOptions off = off_by_days(server_.options(database_), days);
    const auto admin = open_backup_admin(off);
    ASSERT_TRUE(admin->connect());
    const auto purged = admin->purge();
    ASSERT_TRUE(purged) << purged.error().message;
    EXPECT_EQ(*purged, removed) << days;
  }
}

}  // namespace
}  // namespace stayd::test
