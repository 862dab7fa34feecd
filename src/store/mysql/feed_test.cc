// The feed of a real MariaDB: what is MariaDB's alone.
#include <gtest/gtest.h>

#include <set>

#include "store/backup/database_test.h"
#include "store/mysql/feed_cursor.h"

namespace stayd::test {
namespace {

class MysqlFeed : public FeedTest {
 protected:
  MysqlFeed() : FeedTest(shared_mariadb()) {}
};

TEST_F(MysqlFeed, WhoBeganLaterCommitsLater) {
  const auto slow = server_.connect(database_);
  slow->exec(server_.begin_row("slow"));
  client_->backup().write({{put_row(live_row(key("fast"), 1, "v"))}}, 1000, client_->deadline_us());
  const auto reader = connect(database_);
  FeedCursor cursor;
  EXPECT_TRUE(reader->feed_all(cursor).empty()) << "and reading waits for nobody";
  slow->exec("COMMIT");
  client_->until(1000);
  ASSERT_EQ(client_->last_error.message, "");
  const auto rows = reader->feed_all(cursor);
  ASSERT_EQ(keys(rows), (std::set{key("slow"), key("fast")}));
  EXPECT_EQ(rows[0].key, key("slow"));
  EXPECT_LT(rows[0].change, rows[1].change);
}

// A commit is seen by others before it is on the disk: where a crash takes it back, the next one
// must not get its number, which whoever has seen it would pass over.
TEST_F(MysqlFeed, ANumberThatWasSeenIsNotGivenAgain) {
  put(*client_, "lost", 1);
  FeedCursor cursor;
  client_->feed_all(cursor);
  const std::uint64_t seen = client_->complete_to;
  sql("DELETE FROM stayd_rows; UPDATE stayd_meta SET last_change = last_change - 1");
  put(*client_, "next", 1);
  const auto rows = client_->feed_all(cursor);
  ASSERT_EQ(keys(rows), std::set{key("next")});
  EXPECT_GT(rows[0].change, seen);
}

// A replica that was promoted: it has another server_id, and may lack what the other one had
// acknowledged.
TEST_F(MysqlFeed, AnotherServerIsAnotherEpoch) {
  put(*client_, "a", 1);
  FeedCursor cursor;
  client_->feed_all(cursor);
  const std::string before = client_->status().epoch;
  server_.exec("SET GLOBAL server_id = 77");
  until_another_epoch(before);
  EXPECT_EQ(keys(client_->feed_all(cursor)), std::set{key("a")});
  server_.exec("SET GLOBAL server_id = 1");
}

TEST(MysqlCursor, TextComesBackAndNothingElseReads) {
  for (const auto& [change, name] : {std::pair<std::uint64_t, std::optional<std::string>>{7, {}},
                                     {0xffff'ffff'ffff'ffff, std::string("\0k\xff", 3)}}) {
    const auto got = mysql::parse_cursor(mysql::cursor_text({"id-1-7.2026", change, name}));
    ASSERT_TRUE(got);
    EXPECT_EQ(got->epoch, "id-1-7.2026");
    EXPECT_EQ(got->change, change);
    EXPECT_EQ(got->key, name);
  }
  for (const char* wrong : {"", "my1", "my1 e", "my1 e x", "my1 e 1 0", "my1 e 1 zz", "my2 e 1",
                            "1 e 1:1:", "my1 e 1 00 00", "my1 e -1"}) {
    EXPECT_FALSE(mysql::parse_cursor(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace stayd::test
