// The feed of a real MariaDB, under everything that overlaps, and what becomes of it when the data
// is put elsewhere.
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "base/random.h"
#include "store/mysql/feed_cursor.h"
#include "store/mysql/statements.h"
#include "store/test_backups.h"

namespace stayd::test {
namespace {

FullKey key(const std::string& name) {
  return full_key(0, name);
}

class MysqlFeed : public ::testing::Test {
 protected:
  std::unique_ptr<MysqlClient> connect(const std::string& database) const {
    return std::make_unique<MysqlClient>(server_.options(database));
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
    return std::string(mysql::kBegin) +
           "; UPDATE stayd_meta SET last_change = last_change + 1; INSERT INTO stayd_rows SELECT "
           "CONCAT(X'00', '" +
           name + "'), 0, 1, 1, 5, 0, 0, 0, 0, last_change, 1, 3, X'010161' FROM stayd_meta";
  }

  MariadbServer& server_ = shared_mariadb();
  const std::string database_ = server_.make_database();
  std::unique_ptr<MysqlClient> client_ = connect(database_);
};

TEST_F(MysqlFeed, WhoBeganLaterCommitsLater) {
  const auto slow = server_.connect(database_);
  server_.exec(slow.get(), insert("slow"));
  client_->backup().write({{put_row(live_row(key("fast"), 1, "v"))}}, 1000, client_->deadline_us());
  const auto reader = connect(database_);
  FeedCursor cursor;
  EXPECT_TRUE(reader->feed_all(cursor).empty()) << "and reading waits for nobody";
  server_.exec(slow.get(), "COMMIT");
  client_->until(1000);
  ASSERT_EQ(client_->last_error.message, "");
  const auto rows = reader->feed_all(cursor);
  ASSERT_EQ(keys(rows), (std::set{key("slow"), key("fast")}));
  EXPECT_EQ(rows[0].key, key("slow"));
  EXPECT_LT(rows[0].change, rows[1].change);
}

TEST_F(MysqlFeed, ALongTransactionElsewhereNeitherHidesNorRepeats) {
  server_.exec("CREATE TABLE other (x INT) ENGINE = InnoDB", database_);
  const auto slow = server_.connect(database_);
  server_.exec(slow.get(), "BEGIN; INSERT INTO other VALUES (1); SELECT * FROM stayd_rows");
  FeedCursor cursor;
  for (int i = 0; i < 5; ++i) {
    put(*client_, std::to_string(i), 1);
    EXPECT_EQ(keys(client_->feed_all(cursor)), std::set{key(std::to_string(i))});
  }
}

TEST_F(MysqlFeed, WhatIsRolledBackIsNoChange) {
  const auto other = server_.connect(database_);
  server_.exec(other.get(), insert("gone") + "; ROLLBACK");
  put(*client_, "a", 1);
  FeedCursor cursor;
  EXPECT_EQ(keys(client_->feed_all(cursor)), std::set{key("a")});
}

// A commit is seen by others before it is on the disk: where a crash takes it back, the next one
// must not get its number, which whoever has seen it would pass over.
TEST_F(MysqlFeed, ANumberThatWasSeenIsNotGivenAgain) {
  put(*client_, "lost", 1);
  FeedCursor cursor;
  client_->feed_all(cursor);
  const std::uint64_t seen = client_->complete_to;
  server_.exec("DELETE FROM stayd_rows; UPDATE stayd_meta SET last_change = last_change - 1",
               database_);
  put(*client_, "next", 1);
  const auto rows = client_->feed_all(cursor);
  ASSERT_EQ(keys(rows), std::set{key("next")});
  EXPECT_GT(rows[0].change, seen);
}

// Beside a reader that pages: the reader ends with what the table holds, and never sees a key go
// back.
TEST_F(MysqlFeed, ConcurrentWritersAndAPagingReader) {
  std::atomic<int> running = 3;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&, writer] {
      const auto mine = connect(database_);
      const auto raw = server_.connect(database_);
      Random random(static_cast<std::uint64_t>(writer) + 1);
      for (int i = 0; i < 60; ++i) {
        server_.exec(raw.get(), insert(std::to_string(writer) + "-" + std::to_string(i)));
        server_.exec(raw.get(), random.chance(70) ? mysql::kCommit : mysql::kUndo);
        std::vector<BackupWrite> writes;
        for (int j = 0; j < 8; ++j) {
          writes.push_back(put_row(live_row(key("k" + std::to_string(random.below(40))),
                                            static_cast<Hlc>(i * 10 + j), "v")));
        }
        EXPECT_EQ(mine->write(std::move(writes)).size(), 8U) << mine->last_error.message;
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

// Writers that say of each row, once it is acknowledged, that it has been shipped, beside a reader:
// no entry speaks of a row that the reader has not been shown.
TEST_F(MysqlFeed, NoHostsEntryIsAheadOfTheRows) {
  std::atomic<int> running = 3;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&, writer] {
      const auto mine = connect(database_);
      for (Hlc i = 1; i <= 100; ++i) {
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

TEST_F(MysqlFeed, PagesAndReadsEndAtTheirBytes) {
  for (int i = 0; i < 5; ++i) {
    client_->write({put_row(live_row(key(std::to_string(i)), 1, std::string(15 << 20, 'v')))});
  }
  FeedCursor cursor;
  const FeedPage page = client_->feed(cursor, 100);
  EXPECT_EQ(page.rows.size(), 5U);
  client_->write({put_row(live_row(key("5"), 1, std::string(15 << 20, 'v')))});
  EXPECT_EQ(client_->feed(cursor, 100).rows.size(), 5U) << "75 MB and no more";
  EXPECT_TRUE(client_->feed(cursor, 100).more);
  EXPECT_EQ(client_->feed_all(cursor).size(), 6U);
  std::vector<FullKey> all;
  for (int i = 0; i < 6; ++i) all.push_back(key(std::to_string(i)));
  EXPECT_TRUE(client_->read(all).empty());
  EXPECT_EQ(client_->last_error.message,
            "backup: more than 64 MB of values: read fewer keys at once");
}

TEST_F(MysqlFeed, AValueThatDoesNotDecodeConcernsItsKeyAlone) {
  put(*client_, "good", 1);
  put(*client_, "bad", 1);
  server_.exec("UPDATE stayd_rows SET value = X'0103ff' WHERE row_key = CONCAT(X'00', 'bad')",
               database_);
  const auto rows = client_->read({key("bad"), key("good")});
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].state, RowState::live);
  EXPECT_FALSE(rows[0].record.exists());
  EXPECT_EQ(rows[0].unreadable, "value: byte 3: ends inside a number");
  EXPECT_EQ(text_of(rows[1]), "good");
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

// -- epochs ---------------------------------------------------------------------------------------

class MysqlEpoch : public MysqlFeed {
 protected:
  std::string dump() const {
    const std::string file = server_.folder() + "/" + database_ + ".sql";
    server_.run({"mariadb-dump", "--no-defaults", "-S", server_.folder() + "/socket", "-u", "root",
                 "--result-file=" + file, database_});
    return file;
  }
  // In a later second than the schema was made in: tables are told apart by that.
  void restore(const std::string& file, const std::string& database) const {
    const std::string made = server_.exec("SELECT NOW()");
    wait_for([&] { return server_.exec("SELECT NOW()") != made; }, "the next second");
    server_.run({"mariadb", "--no-defaults", "-S", server_.folder() + "/socket", "-u", "root",
                 database, "-e", "source " + file});
  }
  void until_another_epoch(const std::string& before) {
    client_->until_true([&] {
      const BackupStatus status = client_->backup().status();
      return status.epoch != before && status.up;
    });
  }
};

TEST_F(MysqlEpoch, ARestoredDumpIsAnotherOneAndBeginsAnew) {
  put(*client_, "a", 1);
  put(*client_, "b", 1);
  FeedCursor cursor;
  client_->feed_all(cursor);
  const BackupStatus before = client_->backup().status();
  const std::string copy_name = server_.make_database(false);
  restore(dump(), copy_name);
  const auto copy = connect(copy_name);
  EXPECT_EQ(keys(copy->feed_all(cursor)), (std::set{key("a"), key("b")}));
  EXPECT_NE(copy->backup().status().epoch, before.epoch);
  EXPECT_TRUE(copy->feed_all(cursor).empty()) << "restored rows come once";
  put(*copy, "c", 1);
  put(*copy, "a", 2);
  EXPECT_EQ(keys(copy->feed_all(cursor)), (std::set{key("a"), key("c")}));
  EXPECT_EQ(server_.exec("SELECT era FROM stayd_meta", copy_name), "2");
}

TEST_F(MysqlEpoch, AnOlderDumpInTheSameDatabaseIsNoticedWhileConnected) {
  put(*client_, "a", 1);
  const std::string file = dump();
  put(*client_, "b", 1);
  FeedCursor cursor;
  client_->feed_all(cursor);
  const std::string before = client_->backup().status().epoch;
  restore(file, database_);
  until_another_epoch(before);
  EXPECT_EQ(keys(client_->feed_all(cursor)), std::set{key("a")});
  EXPECT_TRUE(client_->feed_all(cursor).empty());
}

TEST_F(MysqlEpoch, ADatabaseMadeAnewIsAnotherOne) {
  put(*client_, "a", 1);
  FeedCursor cursor;
  client_->feed_all(cursor);
  const std::string before = client_->backup().status().epoch;
  server_.exec("DROP TABLE stayd_meta, stayd_rows, stayd_hosts, stayd_keys", database_);
  server_.init(database_);
  until_another_epoch(before);
  EXPECT_TRUE(client_->feed_all(cursor).empty());
  put(*client_, "n", 1);
  EXPECT_EQ(keys(client_->feed_all(cursor)), std::set{key("n")});
}

// A replica that was promoted: it has another server_id, and may lack what the other one had
// acknowledged.
TEST_F(MysqlEpoch, AnotherServerIsAnotherEpoch) {
  put(*client_, "a", 1);
  FeedCursor cursor;
  client_->feed_all(cursor);
  const std::string before = client_->backup().status().epoch;
  server_.exec("SET GLOBAL server_id = 77");
  until_another_epoch(before);
  EXPECT_EQ(keys(client_->feed_all(cursor)), std::set{key("a")});
  server_.exec("SET GLOBAL server_id = 1");
}

}  // namespace
}  // namespace stayd::test
