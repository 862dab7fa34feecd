// Where a page of MySQL's feed ends.
#include <gtest/gtest.h>

#include "store/backup/database_test.h"

namespace stayd::test {
namespace {

class MysqlPages : public DatabaseTest {
 protected:
  MysqlPages() : DatabaseTest(shared_mariadb()) {}
};

// The server cut a page by the sizes that the rows say of themselves, and the client took it for
// the last one by those that it saw: where they differ, rows were passed over for good.
TEST_F(MysqlPages, APageThatTheServerHasCutIsNotTheLast) {
  for (const char* name : {"a", "b", "c"}) {
    client_->write_one(put_row(live_row(key(name), 1, "v")));
  }
  sql("UPDATE stayd_rows SET value_bytes = 60000000");
  FeedCursor cursor;
  EXPECT_EQ(client_->feed_all(cursor).size(), 3U);
}

}  // namespace
}  // namespace stayd::test
