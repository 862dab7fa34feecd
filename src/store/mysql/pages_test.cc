// Where a page of MySQL's feed ends.
#include <gtest/gtest.h>

#include "store/test_backups.h"

namespace stayd::test {
namespace {

// The server cut a page by the sizes that the rows say of themselves, and the client took it for
// the last one by those that it saw: where they differ, rows were passed over for good.
TEST(MysqlPages, APageThatTheServerHasCutIsNotTheLast) {
  const std::string database = shared_mariadb().make_database();
  MysqlClient client(shared_mariadb().options(database));
  for (const char* name : {"a", "b", "c"}) {
    client.write_one(put_row(live_row(full_key(0, name), 1, "v")));
  }
  shared_mariadb().exec("UPDATE stayd_rows SET value_bytes = 60000000", database);
  FeedCursor cursor;
  EXPECT_EQ(client.feed_all(cursor).size(), 3U);
}

}  // namespace
}  // namespace stayd::test
