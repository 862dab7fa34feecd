// The feed of DynamoDB, under everything that overlaps, and what becomes of it when the table is
// another one.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "base/random.h"
#include "store/test_backups.h"

namespace stayd::test {
namespace {

FullKey key(const std::string& name) {
  return full_key(0, name);
}

class DynamodbFeed : public ::testing::Test {
 protected:
  std::unique_ptr<DatabaseClient> connect() const {
    return std::make_unique<DatabaseClient>(server_.options(table_));
  }
  static std::set<FullKey> keys(const std::vector<BackupRow>& rows) {
    std::set<FullKey> out;
    for (const BackupRow& row : rows) out.insert(row.key);
    return out;
  }
  // What a stayd that stands still in the middle of a batch has said so far.
  std::uint64_t begin(const std::string& batch, std::int64_t since_ms, std::uint32_t shards) {
    const dynamo::Request request = dynamo::begin_batch(table_, batch, shards, since_ms);
    boost::json::object body = request.body;
    body.erase("TableName");
    const dynamo::Answer answer = table.ask("UpdateItem", std::move(body));
    return dynamo::head_of(dynamo::item_in(answer, "Attributes"))->under_way.at(batch).number;
  }
  void put(const std::string& name, std::uint64_t number) {
    BackupRow row = live_row(key(name), 1, "");
    row.change = number;
    ValueCodec none;
    table.ask("PutItem", {{"Item", dynamo::item_of(row, "\1\1" + name)}});
  }

  DynamodbServer& server_ = shared_dynamodb();
  const std::string table_ = server_.make_table();
  DynamodbTable table{server_, table_};
  std::unique_ptr<DatabaseClient> client_ = connect();
  FeedCursor cursor_;
};

// A batch that takes long hides nobody else's, and comes when it comes.
TEST_F(DynamodbFeed, ABatchThatIsUnderWayIsLookedForUntilItHasEnded) {
  const std::int64_t now_ms = real_now().wall_ms;  // tidy: allow(clock) because batches have ages
  const std::uint64_t slow = begin("slow", now_ms, 0xffff);
  for (int i = 0; i < 5; ++i) {
    const std::string name = std::to_string(i);
    client_->write({put_row(live_row(key(name), 1, "v"))});
    EXPECT_TRUE(keys(client_->feed_all(cursor_)).contains(key(name)));
    EXPECT_LT(client_->complete_to, slow);
  }
  put("first", slow);
  EXPECT_EQ(keys(client_->feed_all(cursor_)), std::set{key("first")});
  put("second", slow);
  EXPECT_TRUE(keys(client_->feed_all(cursor_, 1)).contains(key("second")));
  boost::json::object end = dynamo::end_batches(table_, {"slow"}).body;
  end.erase("TableName");
  put("last", slow);
  table.ask("UpdateItem", std::move(end));
  EXPECT_TRUE(keys(client_->feed_all(cursor_)).contains(key("last")));
  EXPECT_TRUE(client_->feed_all(cursor_).empty());
  EXPECT_GE(client_->complete_to, slow);
}

// AWS refuses what it could still send.
TEST_F(DynamodbFeed, ABatchOfLongAgoIsNotWaitedFor) {
  const std::int64_t now_ms = real_now().wall_ms;  // tidy: allow(clock) because batches have ages
  begin("dead", now_ms - dynamo::kLateMs - 60'000, 1);
  begin("forgotten", now_ms - 2 * dynamo::kLateMs - 60'000, 1);
  client_->write({put_row(live_row(key("a"), 1, "v"))});
  EXPECT_EQ(client_->feed_all(cursor_).size(), 1U);
  EXPECT_TRUE(client_->feed_all(cursor_).empty());
  EXPECT_EQ(client_->complete_to, table.head().last);
  const auto left = table.head().under_way;
  EXPECT_EQ(left.size(), 1U) << "who writes tidies up";
  EXPECT_TRUE(left.contains("dead"));
}

// Writers in any order beside a reader that pages: the reader ends with what the table holds, and
// never sees a key go back.
TEST_F(DynamodbFeed, ConcurrentWritersAndAPagingReader) {
  std::atomic<int> running = 3;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&, writer] {
      const auto mine = connect();
      Random random(static_cast<std::uint64_t>(writer) + 1);
      for (int i = 0; i < 25; ++i) {
        BackupBatch batch{.together = i % 4 == 0};
        std::set<std::uint64_t> names;
        while (names.size() < 6) names.insert(random.below(40));
        for (const std::uint64_t name : names) {
          batch.writes.push_back(put_row(live_row(key("k" + std::to_string(name)),
                                                  static_cast<Hlc>(i * 10 + writer + 1), "v")));
        }
        batch.writes.push_back(put_row(live_row(
            key(std::to_string(writer) + "-" + std::to_string(i)), static_cast<Hlc>(i + 1), "v")));
        EXPECT_EQ(mine->write_batch(batch).size(), 7U) << mine->last_error.message;
      }
      --running;
    });
  }
  std::map<FullKey, Hlc> seen;
  const auto follow = [&](std::size_t limit) {
    for (const BackupRow& row : client_->feed_all(cursor_, limit)) {
      EXPECT_GE(row.hlc, seen[row.key]);
      seen[row.key] = row.hlc;
    }
  };
  for (std::size_t i = 0; running > 0; ++i) follow(i % 2 == 0 ? 5 : 1000);
  for (std::thread& one : writers) one.join();
  follow(5);
  std::map<FullKey, Hlc> want;
  FeedCursor fresh;
  for (const BackupRow& row : client_->feed_all(fresh)) want[row.key] = row.hlc;
  EXPECT_GT(want.size(), 50U);
  EXPECT_EQ(seen, want);
  EXPECT_TRUE(table.head().under_way.empty());
}

// Writers that say of each row, once it is acknowledged, that it has been shipped, beside a reader:
// no entry speaks of a row that the reader has not been shown.
TEST_F(DynamodbFeed, NoHostsEntryIsAheadOfTheRows) {
  std::atomic<int> running = 3;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&, writer] {
      const auto mine = connect();
      for (Hlc i = 1; i <= 60; ++i) {
        mine->write_one(put_row(live_row(key(std::to_string(writer)), i, "v")));
        mine->write_batch(
            {.host = BackupHost{
                 .instance = static_cast<std::uint64_t>(writer) + 1, .hlc = i, .shipped_to = i}});
      }
      --running;
    });
  }
  std::map<std::uint64_t, Hlc> shown;
  int compared = 0;
  const auto follow = [&](std::size_t limit) {
    client_->hosts.reset();
    for (const BackupRow& row : client_->feed_all(cursor_, limit)) {
      shown[static_cast<std::uint64_t>(std::stoi(row.key.substr(1))) + 1] = row.hlc;
    }
    ASSERT_TRUE(client_->hosts);
    for (const BackupHost& host : client_->hosts->hosts) {
      EXPECT_LE(host.shipped_to, shown[host.instance]);
      compared += host.shipped_to > 1 ? 1 : 0;
    }
  };
  for (std::size_t i = 0; running > 0 && !HasFatalFailure(); ++i) follow(i % 8 == 7 ? 1 : 1000);
  for (std::thread& one : writers) one.join();
  follow(1000);
  EXPECT_EQ(client_->hosts->hosts.size(), 3U);
  EXPECT_GT(compared, 5);
}

// As after a restore: DynamoDB puts it into a new table, and some rows may be of a moment later
// than the head.
TEST_F(DynamodbFeed, ARestoredTableIsAnotherOneAndBeginsAnew) {
  client_->write({put_row(live_row(key("a"), 1, "v"))});
  client_->feed_all(cursor_);
  const std::uint64_t last = table.head().last;
  const std::string other = server_.make_table();
  DynamodbTable restored(server_, other);
  const dynamo::Answer all = table.ask("Scan", {});
  for (const auto& item : dynamo::items_in(all)) restored.ask("PutItem", {{"Item", item}});
  BackupRow later = live_row(key("later"), 1, "");
  later.change = last + 7;
  restored.ask("PutItem", {{"Item", dynamo::item_of(later, "\1\1v")}});
  DatabaseClient copy(server_.options(other));
  EXPECT_EQ(keys(copy.feed_all(cursor_)), (std::set{key("a"), key("later")}));
  EXPECT_NE(copy.status().epoch, client_->status().epoch);
  EXPECT_TRUE(copy.feed_all(cursor_).empty()) << "restored rows come once";
  copy.write({put_row(live_row(key("b"), 1, "v"))});
  const auto rows = copy.feed_all(cursor_);
  ASSERT_EQ(keys(rows), std::set{key("b")});
  EXPECT_GT(rows[0].change, last + 7);
}

TEST_F(DynamodbFeed, ACursorFromTheFutureBeginsAnew) {
  client_->write({put_row(live_row(key("a"), 1, "v"))});
  client_->feed_all(cursor_);
  table.set(dynamo::head_key(), "n = :n", {{":n", dynamo::number_value(std::uint64_t{5})}});
  EXPECT_EQ(client_->feed_all(cursor_).size(), 1U);
}

TEST_F(DynamodbFeed, AnItemThatDoesNotReadConcernsItsKeyAlone) {
  client_->write({put_row(live_row(key("bad"), 1, "v")), put_row(live_row(key("good"), 1, "v")),
                  put_row(live_row(key("worse"), 1, "v"))});
  table.set(dynamo::row_key(key("bad")), "v = :v", {{":v", dynamo::bytes_value("\1\3\xff")}});
  table.set(dynamo::row_key(key("worse")), "h = :h", {{":h", dynamo::text_value("5")}});
  const auto rows = client_->read({key("bad"), key("good"), key("worse")});
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].hlc, 1U);
  EXPECT_FALSE(rows[0].record.exists());
  EXPECT_EQ(rows[0].unreadable, "value: byte 3: ends inside a number");
  EXPECT_EQ(text_of(rows[1]), "v");
  EXPECT_EQ(rows[2].unreadable, "item: no number \"h\"");
  EXPECT_EQ(client_->feed_all(cursor_).size(), 3U);
}

TEST_F(DynamodbFeed, PurgeGoesByTheTablesClockAndLeavesWhatHasChanged) {
  const std::int64_t now_ms = real_now().wall_ms;  // tidy: allow(clock) because of what is purged
  client_->write({put_row(tomb_row(key("past"), 1, now_ms - 60'000)),
                  put_row(tomb_row(key("future"), 1, now_ms + 3'600'000)),
                  put_row(live_row(key("lately"), 1, "v", now_ms - 60'000)),
                  put_row(live_row(key("gone"), 1, "v", now_ms - 2 * kPurgeExpiredMs))});
  client_->write_batch({.host = BackupHost{.instance = 1, .hlc = 1}});
  BackupOptions off = server_.options(table_);
  off.now = [] {
    Now now = real_now();
    now.wall_ms += 48 * 3'600'000LL;
    return now;
  };
  const auto purge = [&] {
    const auto admin = open_backup_admin(off);
    EXPECT_TRUE(admin->connect());
    return admin->purge().value();
  };
  EXPECT_EQ(purge(), 2);
  EXPECT_EQ(purge(), 0);
  EXPECT_EQ(client_->read_one(key("past")).state, RowState::absent);
  EXPECT_EQ(client_->read_one(key("lately")).state, RowState::live);
  table.set(dynamo::host_key(1), "e = e - :d", {{":d", dynamo::number_value(kHostSeenMs)}});
  EXPECT_TRUE(client_->feed("").hosts->hosts.empty());
  table.set(dynamo::host_key(1), "e = e - :d", {{":d", dynamo::number_value(kPurgeHostMs)}});
  EXPECT_EQ(purge(), 0);
  EXPECT_EQ(table.ask("GetItem", {{"Key", dynamo::host_key(1)}}).body.size(), 0U);
}

}  // namespace
}  // namespace stayd::test
