// The feed of a real PostgreSQL, under everything that overlaps.
#include <gtest/gtest.h>

#include <atomic>

#include "base/random.h"
#include "store/test_backups.h"

namespace stayd::test {
namespace {

FullKey key(const std::string& name) {
  return full_key(0, name);
}

class PostgresFeed : public ::testing::Test {
 protected:
  std::unique_ptr<PostgresClient> connect(const std::string& database) {
    return std::make_unique<PostgresClient>(server_.options(database));
  }
  void put(BackupClient& client, const std::string& name, Hlc hlc) {
    EXPECT_EQ(client.write_one(put_row(live_row(key(name), hlc, name))).outcome,
              BackupOutcome::applied);
  }
  static std::set<FullKey> keys(const std::vector<BackupRow>& rows) {
    std::set<FullKey> out;
    for (const BackupRow& row : rows) out.insert(row.key);
    return out;
  }
  // As a stayd would write it, in a transaction that the test ends.
  static std::string insert(const std::string& name) {
    return "INSERT INTO stayd.rows SELECT '\\x00'::bytea || '" + name +
           "', 0, 1::smallint, true, 5, 0, 0, 0, 0, (SELECT era::bigint << 48 FROM stayd.meta) + "
           "pg_current_xact_id()::text::bigint, 1, '\\x010161'";
  }

  PostgresServer& server_ = shared_server();
  const std::string database_ = server_.make_database();
  std::unique_ptr<PostgresClient> client_ = connect(database_);
};

TEST_F(PostgresFeed, WhatBeganEarlierAndCommitsLaterIsShown) {
  const auto slow = server_.connect(database_);
  server_.exec(slow.get(), "BEGIN");
  server_.exec(slow.get(), insert("slow"));
  put(*client_, "fast", 1);
  FeedCursor cursor;
  EXPECT_EQ(keys(client_->feed_all(cursor)), std::set{key("fast")});
  const std::uint64_t before = client_->complete_to;
  server_.exec(slow.get(), "COMMIT");
  const auto rows = client_->feed_all(cursor);
  ASSERT_EQ(keys(rows), std::set{key("slow")});
  EXPECT_LT(before, rows[0].change);
  EXPECT_GE(client_->complete_to, rows[0].change);
  EXPECT_TRUE(client_->feed_all(cursor).empty());
}

TEST_F(PostgresFeed, ALongTransactionElsewhereNeitherHidesNorRepeats) {
  server_.exec("CREATE TABLE other (x int)", database_);
  const auto slow = server_.connect(database_);
  server_.exec(slow.get(), "BEGIN; INSERT INTO other VALUES (1)");
  FeedCursor cursor;
  client_->feed_all(cursor);
  for (int i = 0; i < 20; ++i) {
    put(*client_, std::to_string(i), 1);
    EXPECT_EQ(keys(client_->feed_all(cursor)), std::set{key(std::to_string(i))});
  }
  server_.exec(slow.get(), "COMMIT");
  EXPECT_TRUE(client_->feed_all(cursor).empty());
}

TEST_F(PostgresFeed, WhatIsRolledBackIsNoChange) {
  const auto other = server_.connect(database_);
  server_.exec(other.get(), "BEGIN");
  server_.exec(other.get(), insert("gone"));
  FeedCursor cursor;
  EXPECT_TRUE(client_->feed_all(cursor).empty());
  server_.exec(other.get(), "ROLLBACK");
  EXPECT_TRUE(client_->feed_all(cursor).empty());
}

// More transactions under way than a cursor remembers: what does not fit comes again, none is lost.
TEST_F(PostgresFeed, ManyTransactionsUnderWay) {
  PostgresServer server({"fsync=off", "max_connections=80"});
  const std::string database = server.make_database();
  const auto client = std::make_unique<PostgresClient>(server.options(database));
  std::vector<PgConnection> open;
  std::set<FullKey> want;
  for (int i = 0; i < 60; ++i) {
    open.push_back(server.connect(database));
    server.exec(open.back().get(), "BEGIN");
    server.exec(open.back().get(), insert(std::to_string(i)));
    want.insert(key(std::to_string(i)));
  }
  FeedCursor cursor;
  EXPECT_TRUE(client->feed_all(cursor).empty());
  std::set<FullKey> got;
  for (std::size_t i = 0; i < open.size(); ++i) {
    server.exec(open[(i * 37) % open.size()].get(), "COMMIT");
    for (const BackupRow& row : client->feed_all(cursor, 3)) got.insert(row.key);
  }
  EXPECT_EQ(got, want);
  EXPECT_TRUE(client->feed_all(cursor).empty());
}

// Writers that hold their transactions open for a while, in any order, beside a reader that pages:
// the reader ends with what the table holds, and never sees a key go back.
TEST_F(PostgresFeed, ConcurrentWritersAndAPagingReader) {
  std::atomic<int> running = 3;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&, writer] {
      const auto mine = std::make_unique<PostgresClient>(server_.options(database_));
      const auto raw = server_.connect(database_);
      Random random(static_cast<std::uint64_t>(writer) + 1);
      for (int i = 0; i < 60; ++i) {
        server_.exec(raw.get(), "BEGIN");
        const std::string own = std::to_string(writer) + "-" + std::to_string(i);
        server_.exec(raw.get(), insert(own));
        std::vector<BackupWrite> writes;
        for (int j = 0; j < 8; ++j) {
          writes.push_back(put_row(live_row(key("k" + std::to_string(random.below(40))),
                                            static_cast<Hlc>(i * 10 + j), "v")));
        }
        mine->write(std::move(writes));
        server_.exec(raw.get(), random.chance(70) ? "COMMIT" : "ROLLBACK");
      }
      --running;
    });
  }
  std::map<FullKey, Hlc> seen;
  FeedCursor cursor;
  const auto follow = [&] {
    for (const BackupRow& row : client_->feed_all(cursor, 5)) {
      EXPECT_GE(row.hlc, seen[row.key]);
      seen[row.key] = row.hlc;
    }
  };
  while (running > 0) follow();
  for (std::thread& one : writers) one.join();
  follow();
  std::map<FullKey, Hlc> want;
  FeedCursor fresh;
  for (const BackupRow& row : client_->feed_all(fresh)) want[row.key] = row.hlc;
  EXPECT_GT(want.size(), 100U);
  EXPECT_EQ(seen, want);
}

// -- hosts ----------------------------------------------------------------------------------------

// Writers that say of each row, once it is acknowledged, that it has been shipped, beside a reader:
// no entry speaks of a row that the reader has not been shown.
TEST_F(PostgresFeed, NoHostsEntryIsAheadOfTheRows) {
  std::atomic<int> running = 3;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&, writer] {
      const auto mine = std::make_unique<PostgresClient>(server_.options(database_));
      for (Hlc i = 1; i <= 150; ++i) {
        mine->write_one(put_row(live_row(key(std::to_string(writer)), i, "v")));
        mine->write_batch(
            {.host = BackupHost{
                 .instance = static_cast<std::uint64_t>(writer) + 1, .hlc = i, .shipped_to = i}});
      }
      --running;
    });
  }
  std::map<std::uint64_t, Hlc> shown;
  FeedCursor cursor;
  int compared = 0;
  const auto follow = [&](std::size_t limit) {
    client_->hosts.reset();
    for (const BackupRow& row : client_->feed_all(cursor, limit)) {
      shown[static_cast<std::uint64_t>(std::stoi(row.key.substr(1))) + 1] = row.hlc;
    }
    ASSERT_TRUE(client_->hosts);
    for (const BackupHost& host : client_->hosts->hosts) {
      EXPECT_LE(host.shipped_to, shown[host.instance]);
      compared += host.shipped_to > 1 ? 1 : 0;
    }
  };
  for (std::size_t i = 0; running > 0 && !HasFatalFailure(); ++i) follow(i % 4 == 0 ? 1 : 1000);
  for (std::thread& one : writers) one.join();
  follow(1000);
  EXPECT_EQ(client_->hosts->hosts.size(), 3U);
  EXPECT_GT(compared, 20);
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

TEST_F(PostgresFeed, HostsAreShownForADayAndKeptForAWeek) {
  client_->write_batch({.host = BackupHost{.instance = 1, .hlc = 1}});
  const auto age = [this](const std::string& hours) {
    server_.exec("UPDATE stayd.hosts SET seen_ms = seen_ms - 3600000 * " + hours, database_);
    return client_->feed("").hosts->hosts.size();
  };
  const BackupOptions options = server_.options(database_);
  PostgresAdmin admin(options);
  ASSERT_TRUE(admin.connect());
  const auto kept = [&] {
    EXPECT_TRUE(admin.purge());
    return server_.exec("SELECT count(*) FROM stayd.hosts", database_);
  };
  EXPECT_EQ(age("23"), 1U);
  EXPECT_EQ(age("2"), 0U);
  EXPECT_EQ(age("142"), 0U);
  EXPECT_EQ(kept(), "1");
  EXPECT_EQ(age("2"), 0U);
  EXPECT_EQ(kept(), "0");
}

// -- epochs ---------------------------------------------------------------------------------------

class PostgresEpoch : public PostgresFeed {
 protected:
  // Into a database of its own.
  std::string restored_copy() {
    const std::string dump = server_.folder() + "/" + database_ + ".dump";
    server_.run({PostgresServer::binary("pg_dump"), "-h", server_.folder(), "-p",
                 std::to_string(server_.port()), "-U", "postgres", "-Fc", "-f", dump, database_});
    const std::string copy = server_.make_database(false);
    server_.run({PostgresServer::binary("pg_restore"), "-h", server_.folder(), "-p",
                 std::to_string(server_.port()), "-U", "postgres", "-d", copy, dump});
    return copy;
  }
};

TEST_F(PostgresEpoch, ARestoredDumpIsAnotherOneAndBeginsAnew) {
  // Numbered by a cluster that had done more transactions than the one it comes to.
  put(*client_, "a", 1);
  put(*client_, "b", 1);
  FeedCursor cursor;
  client_->feed_all(cursor);
  const BackupStatus before = client_->backup().status();
  server_.exec("UPDATE stayd.rows SET change = change + 1000000000", database_);
  const auto copy = connect(restored_copy());
  EXPECT_EQ(keys(copy->feed_all(cursor)), (std::set{key("a"), key("b")}));
  EXPECT_NE(copy->backup().status().epoch, before.epoch);
  EXPECT_TRUE(copy->feed_all(cursor).empty()) << "restored rows come once";
  put(*copy, "c", 1);
  put(*copy, "a", 2);
  const auto rows = copy->feed_all(cursor);
  ASSERT_EQ(keys(rows), (std::set{key("a"), key("c")}));
  EXPECT_GT(rows[0].change, 1'000'000'000U);
}

TEST_F(PostgresEpoch, AnOlderDumpInTheSameDatabaseIsNoticedWhileConnected) {
  put(*client_, "a", 1);
  const std::string dump = server_.folder() + "/" + database_ + ".dump";
  server_.run({PostgresServer::binary("pg_dump"), "-h", server_.folder(), "-p",
               std::to_string(server_.port()), "-U", "postgres", "-Fc", "-f", dump, database_});
  put(*client_, "b", 1);
  FeedCursor cursor;
  client_->feed_all(cursor);
  const std::string before = client_->backup().status().epoch;
  server_.run({PostgresServer::binary("pg_restore"), "-h", server_.folder(), "-p",
               std::to_string(server_.port()), "-U", "postgres", "--clean", "-d", database_, dump});
  client_->until_true([&] {
    const BackupStatus status = client_->backup().status();
    return status.epoch != before && status.up;
  });
  EXPECT_EQ(keys(client_->feed_all(cursor)), std::set{key("a")});
  EXPECT_TRUE(client_->feed_all(cursor).empty());
}

TEST_F(PostgresEpoch, ADatabaseMadeAnewIsAnotherOne) {
  put(*client_, "a", 1);
  FeedCursor cursor;
  client_->feed_all(cursor);
  const std::string before = client_->backup().status().epoch;
  server_.exec("DROP SCHEMA stayd CASCADE", database_);
  server_.init(database_);
  client_->until_true([&] {
    const BackupStatus status = client_->backup().status();
    return status.epoch != before && status.up;
  });
  EXPECT_TRUE(client_->feed_all(cursor).empty());
  put(*client_, "n", 1);
  EXPECT_EQ(keys(client_->feed_all(cursor)), std::set{key("n")});
}

TEST_F(PostgresFeed, AValueThatDoesNotDecodeConcernsItsKeyAlone) {
  put(*client_, "good", 1);
  put(*client_, "bad", 1);
  server_.exec("UPDATE stayd.rows SET value = '\\x0103ff' WHERE key = '\\x00'::bytea || 'bad'",
               database_);
  const auto rows = client_->read({key("bad"), key("good")});
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].state, RowState::live);
  EXPECT_EQ(rows[0].hlc, 1U);
  EXPECT_FALSE(rows[0].record.exists());
  EXPECT_EQ(rows[0].unreadable, "value: byte 3: ends inside a number");
  EXPECT_EQ(text_of(rows[1]), "good");
}

}  // namespace
}  // namespace stayd::test
