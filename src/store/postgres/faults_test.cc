// What the backup does when its PostgreSQL does not.
#include <gtest/gtest.h>

#include "store/test_backups.h"

namespace stayd::test {
namespace {

FullKey key(const std::string& name) {
  return full_key(0, name);
}

class PostgresFaults : public ::testing::Test {
 protected:
  static PostgresServer& server() {
    static PostgresServer one({"fsync=on"});
    return one;
  }
  PostgresFaults() { client_->read({}); }
  ~PostgresFaults() override { server().thaw(); }

  BackupStatus status() {
    client_->deliver();
    return client_->backup().status();
  }
  void until_up() {
    wait_for([this] { return status().up; }, "up");
  }
  void until_down() {
    wait_for([this] { return !status().up; }, "down");
  }

  const std::string database_ = server().make_database();
  std::unique_ptr<PostgresClient> client_ =
      std::make_unique<PostgresClient>(server().options(database_));
};

TEST_F(PostgresFaults, KilledItIsOutAtOnceAndComesBackWithWhatWasAcknowledged) {
  int acknowledged = 0;
  std::thread killer([] { server().kill(); });
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
  server().start();
  until_up();
  EXPECT_EQ(status().error, "");
  for (int i = 0; i < acknowledged; ++i) {
    EXPECT_EQ(client_->read_one(key(std::to_string(i))).state, RowState::live) << i;
  }
}

TEST_F(PostgresFaults, FrozenItIsReportedAtTheDeadline) {
  client_->deadline_ms = 300;
  server().freeze();
  const std::int64_t from = real_now().mono_us;
  EXPECT_TRUE(client_->write({put_row(live_row(key("a"), 1, "v"))}).empty());
  const std::int64_t took_ms = (real_now().mono_us - from) / 1000;
  EXPECT_EQ(client_->last_error.code, Errc::timed_out) << client_->last_error.message;
  EXPECT_GE(took_ms, 299);
  EXPECT_LT(took_ms, 2'000);
  until_down();  // the look finds no answer either
  server().thaw();
  client_->deadline_ms = 20'000;
  until_up();
  EXPECT_EQ(client_->write_one(put_row(live_row(key("a"), 2, "w"))).outcome,
            BackupOutcome::applied);
  EXPECT_EQ(text_of(client_->read_one(key("a"))), "w");
}

TEST_F(PostgresFaults, ALateAnswerIsNobodyElses) {
  client_->write({put_row(live_row(key("a"), 1, "A")), put_row(live_row(key("b"), 1, "B"))});
  const auto other = server().connect(database_);
  server().exec(other.get(), "BEGIN; UPDATE stayd.rows SET hlc = hlc");
  client_->deadline_ms = 100;
  EXPECT_TRUE(client_->write({put_row(live_row(key("a"), 2, "late"))}).empty());
  EXPECT_EQ(client_->last_error.code, Errc::timed_out);
  client_->deadline_ms = 20'000;
  EXPECT_EQ(text_of(client_->read_one(key("b"))), "B");
  server().exec(other.get(), "COMMIT");
  EXPECT_EQ(text_of(client_->read_one(key("b"))), "B");
}

TEST_F(PostgresFaults, ReadOnlyItAnswersReads) {
  client_->write({put_row(live_row(key("a"), 1, "v"))});
  server().exec("ALTER DATABASE " + database_ + " SET default_transaction_read_only = on");
  server().exec(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stayd'");
  wait_for([this] { return status().up && !status().writable; }, "read-only");
  // Connections whose end has not been noticed yet lose what they are asked.
  wait_for(
      [this] {
        EXPECT_TRUE(client_->write({put_row(live_row(key("a"), 2, "w"))}).empty());
        return client_->last_error.code == Errc::unavailable;
      },
      "refused");
  EXPECT_NE(client_->last_error.message.find("25006"), std::string::npos);
  wait_for([this] { return !client_->read({key("a")}).empty(); }, "read");
  EXPECT_EQ(text_of(client_->read_one(key("a"))), "v");
  FeedCursor cursor;
  EXPECT_EQ(client_->feed_all(cursor).size(), 1U);
  server().exec("ALTER DATABASE " + database_ + " SET default_transaction_read_only = off");
  server().exec(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stayd'");
  wait_for([this] { return status().writable; }, "writable");
}

TEST_F(PostgresFaults, ConnectionsThatAreClosedAreOpenedAgain) {
  client_->write({put_row(live_row(key("a"), 1, "v"))});
  for (int i = 0; i < 5; ++i) {
    server().exec(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stayd'");
    wait_for([this] { return !client_->read({key("a")}).empty(); }, "read again");
  }
}

TEST_F(PostgresFaults, FewerConnectionsThanWishedAreEnough) {
  server().exec("ALTER ROLE stayd CONNECTION LIMIT 1");
  server().exec(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stayd'");
  wait_for([this] { return !client_->read({key("a")}).empty(); }, "one connection");
  EXPECT_EQ(client_->write({put_row(live_row(key("a"), 1, "v"))}).size(), 1U);
  EXPECT_EQ(client_->write({put_row(tomb_row(key("a"), 2))}).size(), 1U);
  wait_for([this] { return status().error.find("too many connections") != std::string::npos; },
           "it says so");
  server().exec("ALTER ROLE stayd CONNECTION LIMIT -1");
}

// One statement that waits for a lock for long, on every connection but the watch's.
TEST_F(PostgresFaults, LogoutsDoNotWaitBehindBulk) {
  const auto connections = [this](const std::string& which) {
    return server().exec(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stayd' "
        "AND datname = '" +
        database_ + "'" + which);
  };
  wait_for([&] { return connections("") == "4"; }, "all connections");
  client_->write({put_row(live_row(key("locked"), 1, "v"))});
  const auto other = server().connect(database_);
  server().exec(other.get(), "BEGIN; UPDATE stayd.rows SET hlc = hlc");
  for (BackupToken token = 1000; token < 1020; ++token) {
    client_->backup().write({{put_row(live_row(key("locked"), token, "w"))}}, token,
                            client_->deadline_us());
  }
  wait_for([&] { return connections(" AND wait_event_type = 'Lock'") >= "3"; }, "bulk waits");
  client_->deadline_ms = 3'000;
  for (const char* logout : {"a", "b", "c"}) {
    EXPECT_EQ(client_->write_one(put_row(tomb_row(key(logout), 1))).outcome,
              BackupOutcome::applied);
  }
  EXPECT_FALSE(client_->recorder.seen(1000));
  server().exec(other.get(), "COMMIT");
  for (BackupToken token = 1000; token < 1020; ++token) client_->until(token);
}

TEST_F(PostgresFaults, WhatDoesNotFitTheQueueIsRefusedAtOnce) {
  const auto other = server().connect(database_);
  server().exec(other.get(), "BEGIN; LOCK stayd.rows");
  const BackupToken first = 1000, end = first + 1100;
  for (BackupToken token = first; token < end; ++token) {
    client_->backup().read({key("a")}, token, client_->deadline_us());
  }
  client_->until(end - 1);
  EXPECT_EQ(client_->last_error.code, Errc::limit) << client_->last_error.message;
  server().exec(other.get(), "COMMIT");
  client_->until(first);
  EXPECT_EQ(client_->last_error.message, "");
  for (BackupToken token = first; token < end; ++token) client_->until(token);
}

// Two batches that take the same rows from opposite ends, by hand so that they must deadlock.
TEST_F(PostgresFaults, ADeadlockIsTriedAgain) {
  client_->write({put_row(live_row(key("a"), 1, "v")), put_row(live_row(key("b"), 1, "v"))});
  const auto other = server().connect(database_);
  server().exec(other.get(), "SET deadlock_timeout = '60s'; BEGIN");
  server().exec(other.get(), "UPDATE stayd.rows SET hlc = hlc WHERE key = '\\x00'::bytea || 'b'");
  client_->backup().write(
      {{put_row(live_row(key("a"), 2, "w")), put_row(live_row(key("b"), 2, "w"))}}, 1000,
      client_->deadline_us());
  wait_for(
      [] {
        return server().exec(
                   "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                   "AND application_name = 'stayd'") == "1";
      },
      "the batch holds a and waits for b");
  server().exec(other.get(), "UPDATE stayd.rows SET hlc = hlc WHERE key = '\\x00'::bytea || 'a'");
  server().exec(other.get(), "COMMIT");
  client_->until(1000);
  EXPECT_EQ(client_->last_error.message, "");
  EXPECT_EQ(text_of(client_->read_one(key("b"))), "w");
}

// -- what one must put right ----------------------------------------------------------------------

void expect_says(const BackupOptions& options, const std::string& text) {
  PostgresClient client(options);
  client.read({key("a")});
  EXPECT_EQ(client.last_error.code, Errc::unavailable);
  EXPECT_NE(client.last_error.message.find(text), std::string::npos) << client.last_error.message;
  EXPECT_FALSE(client.backup().status().up);
}

TEST_F(PostgresFaults, WhatIsWrongIsSaid) {
  BackupOptions options = server().options(database_);
  options.url = server().tcp_url(database_, "wrong");
  expect_says(options, "password authentication failed for user \"stayd\"");
  options.url = server().tcp_url(server().make_database(false), "right");
  expect_says(options, "run \"stayd backup init\"");
  options.url = server().tcp_url("nowhere", "right");
  expect_says(options, "database \"nowhere\" does not exist");
  options.url = "postgresql://stayd@127.0.0.1:1/x";
  expect_says(options, "Connection refused");
  server().exec("UPDATE stayd.meta SET version = 3", database_);
  options.url = server().url(database_);
  PostgresClient newer(options);
  newer.read({key("a")});
  EXPECT_NE(newer.last_error.message.find("version 3, this stayd knows 2"), std::string::npos)
      << newer.last_error.message;
}

TEST_F(PostgresFaults, ThePasswordIsAskedForEachConnection) {
  std::atomic<int> asked = 0;
  BackupOptions options = server().options(database_);
  options.url = "postgresql://stayd@127.0.0.1:" + std::to_string(server().port()) + "/" + database_;
  options.password = [&asked]() -> Result<std::string> {
    return ++asked == 1 ? std::string("old") : std::string("right");
  };
  PostgresClient client(options);
  wait_for([&] { return !client.read({key("a")}).empty(); }, "the new password is taken up");
}

TEST_F(PostgresFaults, TheClocksAreCompared) {
  BackupOptions options = server().options(database_);
  options.now = [] {
    Now now = real_now();
    now.wall_ms -= 5'000;
    return now;
  };
  PostgresClient client(options);
  client.read({key("a")});
  const auto offset = [&] {
    client.deliver();
    return client.backup().status().clock_offset_ms;
  };
  wait_for([&] { return offset() != 0; }, "measured");
  EXPECT_NEAR(static_cast<double>(offset()), 5'000.0,
              1.0 + static_cast<double>(client.backup().status().clock_error_ms));
}

}  // namespace
}  // namespace stayd::test
