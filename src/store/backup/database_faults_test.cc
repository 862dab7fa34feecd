// What the backup does when its database does not.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "store/backup/database_test.h"

namespace stayd::test {
namespace {

using DatabaseFaults = OnEach<FaultTest>;
INSTANTIATE_TEST_SUITE_P(Each, DatabaseFaults, ::testing::ValuesIn(kDurable), name_of);

TEST_P(DatabaseFaults, KilledItIsOutAtOnceAndComesBackWithWhatWasAcknowledged) {
  int acknowledged = 0;
  std::thread killer([this] { server_.kill(); });
  for (int i = 0; i < 100'000 && status().up; ++i) {
    const auto written = client_->write({put_row(live_row(key(std::to_string(i)), 1, "v"))});
    if (written.empty()) break;
    acknowledged = i + 1;
  }
  killer.join();
  until_down();
  client_->read({key("0")});
  EXPECT_EQ(client_->last_error.code, Errc::unavailable) << client_->last_error.message;
  EXPECT_NE(status().error, "");
  server_.start();
  until_up();
  EXPECT_EQ(status().error, "");
  for (int i = 0; i < acknowledged; ++i) {
    EXPECT_EQ(client_->read_one(key(std::to_string(i))).state, RowState::live) << i;
  }
}

TEST_P(DatabaseFaults, FrozenItIsReportedAtTheDeadline) {
  client_->deadline_ms = 300;
  server_.freeze();
  const std::int64_t from = real_now().mono_us;
  EXPECT_TRUE(client_->write({put_row(live_row(key("a"), 1, "v"))}).empty());
  const std::int64_t took_ms = (real_now().mono_us - from) / 1000;
  EXPECT_EQ(client_->last_error.code, Errc::timed_out) << client_->last_error.message;
  EXPECT_GE(took_ms, 299);
  EXPECT_LT(took_ms, 2'000);
  until_down();  // the look finds no answer either
  server_.thaw();
  client_->deadline_ms = 20'000;
  until_up();
  EXPECT_EQ(client_->write_one(put_row(live_row(key("a"), 2, "w"))).outcome,
            BackupOutcome::applied);
  EXPECT_EQ(text_of(client_->read_one(key("a"))), "w");
}

TEST_P(DatabaseFaults, ALateAnswerIsNobodyElses) {
  client_->write({put_row(live_row(key("a"), 1, "A")), put_row(live_row(key("b"), 1, "B"))});
  const auto other = server_.connect(database_);
  other->exec(server_.sql.hold_writes);
  client_->deadline_ms = 100;
  EXPECT_TRUE(client_->write({put_row(live_row(key("a"), 2, "late"))}).empty());
  EXPECT_EQ(client_->last_error.code, Errc::timed_out);
  client_->deadline_ms = 20'000;
  EXPECT_EQ(text_of(client_->read_one(key("b"))), "B");
  other->exec("COMMIT");
  EXPECT_EQ(text_of(client_->read_one(key("b"))), "B");
}

TEST_P(DatabaseFaults, ReadOnlyItAnswersReads) {
  client_->write({put_row(live_row(key("a"), 1, "v"))});
  server_.set_read_only(database_, true);
  wait_for([this] { return status().up && !status().writable; }, "read-only");
  // Connections whose end has not been noticed yet lose what they are asked.
  wait_for(
      [this] {
        EXPECT_TRUE(client_->write({put_row(live_row(key("a"), 2, "w"))}).empty());
        return client_->last_error.code == Errc::unavailable &&
               client_->last_error.message.find(server_.sql.read_only) != std::string::npos;
      },
      "refused");
  EXPECT_EQ(text_of(client_->read_one(key("a"))), "v");
  FeedCursor cursor;
  EXPECT_EQ(client_->feed_all(cursor).size(), 1U);
  server_.set_read_only(database_, false);
  wait_for([this] { return status().writable; }, "writable");
  until_written(put_row(live_row(key("a"), 2, "w")));
  EXPECT_EQ(text_of(client_->read_one(key("a"))), "w");
}

TEST_P(DatabaseFaults, ConnectionsThatAreClosedAreOpenedAgain) {
  client_->write({put_row(live_row(key("a"), 1, "v"))});
  for (int i = 0; i < 5; ++i) {
    server_.hang_up();
    wait_for([this] { return !client_->read({key("a")}).empty(); }, "read again");
  }
}

// "The server has gone away": it had hung up while nobody asked for anything.
TEST_P(DatabaseFaults, AConnectionThatWasIdleForTooLongIsReplacedUnnoticed) {
  server_.hang_up();
  wait_for([this] { return connections() == "4"; }, "connected again");
  EXPECT_EQ(client_->write({put_row(live_row(key("a"), 1, "v"))}).size(), 1U)
      << client_->last_error.message;
}

TEST_P(DatabaseFaults, FewerConnectionsThanWishedAreEnough) {
  server_.limit_connections(1);
  server_.hang_up();
  wait_for([this] { return !client_->read({key("a")}).empty(); }, "one connection");
  until_written(put_row(live_row(key("a"), 1, "v")));
  until_written(put_row(tomb_row(key("a"), 2)));
  wait_for(
      [this] { return status().error.find(server_.sql.too_many_connections) != std::string::npos; },
      "it says so");
  server_.limit_connections(server_.sql.no_limit);
}

TEST_P(DatabaseFaults, WhatDoesNotFitTheQueueIsRefusedAtOnce) {
  auto other = server_.connect(database_);
  other->exec(server_.sql.lock_rows);
  const BackupToken first = 1000, end = first + 1100;
  for (BackupToken token = first; token < end; ++token) {
    client_->backup().read({key("a")}, token, client_->deadline_us());
  }
  client_->until(end - 1);
  EXPECT_EQ(client_->last_error.code, Errc::busy) << client_->last_error.message;
  other.reset();
  client_->until(first);
  EXPECT_EQ(client_->last_error.message, "");
  for (BackupToken token = first; token < end; ++token) client_->until(token);
  EXPECT_EQ(client_->last_error.code, Errc::busy);
}

// -- what one must put right ----------------------------------------------------------------------

void expect_says(const BackupOptions& options, const std::string& text) {
  DatabaseClient client(options);
  client.read({"a"});
  EXPECT_EQ(client.last_error.code, Errc::unavailable);
  EXPECT_NE(client.last_error.message.find(text), std::string::npos) << client.last_error.message;
  EXPECT_FALSE(client.status().up);
}

TEST_P(DatabaseFaults, WhatIsWrongIsSaid) {
  BackupOptions options = server_.options(database_);
  options.url = server_.tcp_url(database_, "wrong");
  expect_says(options, server_.sql.wrong_password);
  options.url = server_.tcp_url(server_.make_database(false), "right");
  expect_says(options, "run \"stayd backup init\"");
  options.url = server_.tcp_url("nowhere", "right");
  expect_says(options, server_.sql.no_database);
  options.url = server_.tcp_url(database_, "right", 1);
  expect_says(options, server_.sql.unreachable);
  sql("UPDATE " + server_.sql.meta + " SET version = 3");
  options.url = server_.url(database_);
  expect_says(options, server_.sql.version);
}

TEST_P(DatabaseFaults, ThePasswordIsAskedForEachConnection) {
  std::atomic<int> asked = 0;
  BackupOptions options = server_.options(database_);
  options.url = server_.tcp_url(database_, "");
  options.password = [&asked]() -> Result<std::string> {
    return ++asked == 1 ? std::string("old") : std::string("right");
  };
  DatabaseClient client(options);
  wait_for([&] { return !client.read({key("a")}).empty(); }, "the new password is taken up");
}

TEST_P(DatabaseFaults, TheClocksAreCompared) {
  BackupOptions options = server_.options(database_);
  options.now = [] {
    Now now = real_now();
    now.wall_ms -= 5'000;
    return now;
  };
  DatabaseClient client(options);
  client.read({key("a")});
  const auto offset = [&] { return client.status().clock_offset_ms; };
  wait_for([&] { return offset() != 0; }, "measured");
  EXPECT_NEAR(static_cast<double>(offset()), 5'000.0,
              1.0 + static_cast<double>(client.status().clock_error_ms));
}

}  // namespace
}  // namespace stayd::test
