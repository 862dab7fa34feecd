// The feed of a real PostgreSQL: what is PostgreSQL's alone.
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "store/backup/database_test.h"

namespace stayd::test {
namespace {

class PostgresFeed : public FeedTest {
 protected:
  PostgresFeed() : FeedTest(shared_postgres()) {}
};

TEST_F(PostgresFeed, WhatBeganEarlierAndCommitsLaterIsShown) {
  const auto slow = server_.connect(database_);
  slow->exec(server_.begin_row("slow"));
  put(*client_, "fast", 1);
  FeedCursor cursor;
  EXPECT_EQ(keys(client_->feed_all(cursor)), std::set{key("fast")});
  const std::uint64_t before = client_->complete_to;
  slow->exec("COMMIT");
  const auto rows = client_->feed_all(cursor);
  ASSERT_EQ(keys(rows), std::set{key("slow")});
  EXPECT_LT(before, rows[0].change);
  EXPECT_GE(client_->complete_to, rows[0].change);
  EXPECT_TRUE(client_->feed_all(cursor).empty());
}

// More transactions under way than a cursor remembers: what does not fit comes again, none is lost.
TEST_F(PostgresFeed, ManyTransactionsUnderWay) {
  PostgresServer server({"fsync=off", "max_connections=80"});
  const std::string database = server.make_database();
  const auto client = std::make_unique<DatabaseClient>(server.options(database));
  std::vector<std::unique_ptr<SqlSession>> open;
  std::set<FullKey> want;
  for (int i = 0; i < 60; ++i) {
    open.push_back(server.connect(database));
    open.back()->exec(server.begin_row(std::to_string(i)));
    want.insert(key(std::to_string(i)));
  }
  FeedCursor cursor;
  EXPECT_TRUE(client->feed_all(cursor).empty());
  std::set<FullKey> got;
  for (std::size_t i = 0; i < open.size(); ++i) {
    open[(i * 37) % open.size()]->exec("COMMIT");
    for (const BackupRow& row : client->feed_all(cursor, 3)) got.insert(row.key);
  }
  EXPECT_EQ(got, want);
  EXPECT_TRUE(client->feed_all(cursor).empty());
}

// A row that changes between two pages is in neither: it comes in a round of its own, and what the
// host table says is true only then.
TEST_F(PostgresFeed, TheEndOfAReadingIsWhereNothingIsMissing) {
  put(*client_, "a", 1);
  put(*client_, "b", 1);
  put(*client_, "hot", 1);
  client_->write_batch({.host = BackupHost{.instance = 1, .hlc = 1}});
  const FeedPage first = client_->feed("", 2);
  put(*client_, "hot", 2);
  const FeedPage second = client_->feed(first.next, 2);
  EXPECT_TRUE(second.rows.empty());
  for (const FeedPage* page : {&first, &second}) {
    EXPECT_TRUE(page->more);
    EXPECT_FALSE(page->hosts);
  }
  const FeedPage last = client_->feed(second.next, 2);
  ASSERT_EQ(keys(last.rows), std::set{key("hot")});
  EXPECT_EQ(last.rows[0].hlc, 2U);
  EXPECT_FALSE(last.more);
  ASSERT_TRUE(last.hosts);
  EXPECT_EQ(last.hosts->hosts.size(), 1U);
}

}  // namespace
}  // namespace stayd::test
