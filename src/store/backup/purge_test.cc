// What may go is judged by the database's clock, as it is by those who write, and not by that of
// the machine on which somebody says `stayd backup purge`.
#include <gtest/gtest.h>

#include "store/backup/behaviour.h"
#include "store/test_backups.h"

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

template <class Admin, class Client>
void expect_purged_by_the_databases_clock(const BackupOptions& options) {
  Client client(options);
  const std::int64_t now_ms = real_now().wall_ms;  // tidy: allow(clock) because of what is purged
  client.write({put_row(tomb_row(full_key(0, "past"), 1, now_ms - 60'000)),
                put_row(tomb_row(full_key(0, "future"), 1, now_ms + 3'600'000)),
                put_row(live_row(full_key(0, "lives"), 1, "v", now_ms + 3'600'000))});
  for (const auto& [days, removed] : {std::pair(-2, 1), std::pair(2, 0)}) {
    const BackupOptions off = off_by_days(options, days);
    Admin admin(off);
    ASSERT_TRUE(admin.connect());
    const auto purged = admin.purge();
    ASSERT_TRUE(purged) << purged.error().message;
    EXPECT_EQ(*purged, removed) << days;
  }
}

TEST(Purge, PostgresJudgesByItsOwnClock) {
  expect_purged_by_the_databases_clock<PostgresAdmin, PostgresClient>(
      shared_server().options(shared_server().make_database()));
}

TEST(Purge, MariadbJudgesByItsOwnClock) {
  expect_purged_by_the_databases_clock<MysqlAdmin, MysqlClient>(
      shared_mariadb().options(shared_mariadb().make_database()));
}

}  // namespace
}  // namespace stayd::test
