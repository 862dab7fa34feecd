// The feed of a real database, under everything that overlaps, and what becomes of it when the data
// is put elsewhere.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "base/random.h"
#include "store/backup/database_test.h"

namespace stayd::test {
namespace {

using DatabaseFeed = OnEach<FeedTest>;
INSTANTIATE_TEST_SUITE_P(Each, DatabaseFeed, ::testing::ValuesIn(kShared), name_of);

TEST_P(DatabaseFeed, ALongTransactionElsewhereNeitherHidesNorRepeats) {
  sql("CREATE TABLE other (x INT)");
  const auto slow = server_.connect(database_);
  slow->exec("BEGIN; INSERT INTO other VALUES (1); SELECT * FROM " + server_.sql.rows);
  FeedCursor cursor;
  client_->feed_all(cursor);
  for (int i = 0; i < 20; ++i) {
    put(*client_, std::to_string(i), 1);
    EXPECT_EQ(keys(client_->feed_all(cursor)), std::set{key(std::to_string(i))});
  }
  slow->exec("COMMIT");
  EXPECT_TRUE(client_->feed_all(cursor).empty());
}

TEST_P(DatabaseFeed, WhatIsRolledBackIsNoChange) {
  const auto other = server_.connect(database_);
  other->exec(server_.begin_row("gone"));
  FeedCursor cursor;
  EXPECT_TRUE(client_->feed_all(cursor).empty());
  other->exec("ROLLBACK");
  EXPECT_TRUE(client_->feed_all(cursor).empty());
  put(*client_, "a", 1);
  EXPECT_EQ(keys(client_->feed_all(cursor)), std::set{key("a")});
}

// Writers that hold their transactions open for a while where others can write beside them, in any
// order, beside a reader that pages: the reader ends with what the table holds, and never sees a
// key go back.
TEST_P(DatabaseFeed, ConcurrentWritersAndAPagingReader) {
  std::atomic<int> running = 3;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&, writer] {
      const auto mine = connect(database_);
      const auto raw = server_.connect(database_);
      Random random(static_cast<std::uint64_t>(writer) + 1);
      for (int i = 0; i < 60; ++i) {
        raw->exec(server_.begin_row(std::to_string(writer) + "-" + std::to_string(i)));
        const auto end = [&] { raw->exec(random.chance(70) ? "COMMIT" : "ROLLBACK"); };
        if (server_.sql.one_writer) end();
        std::vector<BackupWrite> writes;
        for (int j = 0; j < 8; ++j) {
          writes.push_back(put_row(live_row(key("k" + std::to_string(random.below(40))),
                                            static_cast<Hlc>(i * 10 + j), "v")));
        }
        EXPECT_EQ(mine->write(std::move(writes)).size(), 8U) << mine->last_error.message;
        if (!server_.sql.one_writer) end();
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
TEST_P(DatabaseFeed, NoHostsEntryIsAheadOfTheRows) {
  std::atomic<int> running = 3;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&, writer] {
      const auto mine = connect(database_);
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

TEST_P(DatabaseFeed, HostsAreShownForADayAndKeptForAWeek) {
  client_->write_batch({.host = BackupHost{.instance = 1, .hlc = 1}});
  const auto age = [this](const std::string& hours) {
    sql("UPDATE " + server_.sql.hosts + " SET seen_ms = seen_ms - 3600000 * " + hours);
    return client_->feed("").hosts->hosts.size();
  };
  const BackupOptions options = server_.options(database_);
  const auto admin = open_backup_admin(options);
  ASSERT_TRUE(admin->connect());
  const auto kept = [&] {
    EXPECT_TRUE(admin->purge());
    return sql("SELECT COUNT(*) FROM " + server_.sql.hosts);
  };
  EXPECT_EQ(age("23"), 1U);
  EXPECT_EQ(age("2"), 0U);
  EXPECT_EQ(age("142"), 0U);
  EXPECT_EQ(kept(), "1");
  EXPECT_EQ(age("2"), 0U);
  EXPECT_EQ(kept(), "0");
}

TEST_P(DatabaseFeed, PagesAndReadsEndAtTheirBytes) {
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

TEST_P(DatabaseFeed, AValueThatDoesNotDecodeConcernsItsKeyAlone) {
  put(*client_, "good", 1);
  put(*client_, "bad", 1);
  sql(fmt::format("UPDATE {} SET value = {} WHERE {} = {}", server_.sql.rows,
                  server_.bytes("\1\3\xff"), server_.sql.key, server_.bytes(key("bad"))));
  const auto rows = client_->read({key("bad"), key("good")});
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].state, RowState::live);
  EXPECT_EQ(rows[0].hlc, 1U);
  EXPECT_FALSE(rows[0].record.exists());
  EXPECT_EQ(rows[0].unreadable, "value: byte 3: ends inside a number");
  EXPECT_EQ(text_of(rows[1]), "good");
}

// -- epochs
// ----------------------------------------------------------------------------------------

TEST_P(DatabaseFeed, ARestoredDumpIsAnotherOneAndBeginsAnew) {
  put(*client_, "a", 1);
  put(*client_, "b", 1);
  FeedCursor cursor;
  client_->feed_all(cursor);
  const BackupStatus before = client_->status();
  server_.age(database_);
  const std::string copy_name = server_.make_database(false);
  server_.restore(server_.dump(database_), copy_name);
  const auto copy = connect(copy_name);
  EXPECT_EQ(keys(copy->feed_all(cursor)), (std::set{key("a"), key("b")}));
  EXPECT_NE(copy->status().epoch, before.epoch);
  EXPECT_TRUE(copy->feed_all(cursor).empty()) << "restored rows come once";
  put(*copy, "c", 1);
  put(*copy, "a", 2);
  const auto rows = copy->feed_all(cursor);
  ASSERT_EQ(keys(rows), (std::set{key("a"), key("c")}));
  EXPECT_GT(rows[0].change, 1'000'000'000U);
  EXPECT_EQ(server_.exec("SELECT era FROM " + server_.sql.meta, copy_name), "2");
}

TEST_P(DatabaseFeed, AnOlderDumpInTheSameDatabaseIsNoticedWhileConnected) {
  put(*client_, "a", 1);
  const std::string file = server_.dump(database_);
  put(*client_, "b", 1);
  FeedCursor cursor;
  client_->feed_all(cursor);
  const std::string before = client_->status().epoch;
  server_.restore(file, database_);
  until_another_epoch(before);
  EXPECT_EQ(keys(client_->feed_all(cursor)), std::set{key("a")});
  EXPECT_TRUE(client_->feed_all(cursor).empty());
}

TEST_P(DatabaseFeed, ADatabaseMadeAnewIsAnotherOne) {
  put(*client_, "a", 1);
  FeedCursor cursor;
  client_->feed_all(cursor);
  const std::string before = client_->status().epoch;
  sql(server_.sql.drop_schema);
  server_.init(database_);
  until_another_epoch(before);
  EXPECT_TRUE(client_->feed_all(cursor).empty());
  put(*client_, "n", 1);
  EXPECT_EQ(keys(client_->feed_all(cursor)), std::set{key("n")});
}

}  // namespace
}  // namespace stayd::test
