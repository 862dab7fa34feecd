// What the backup does when its MariaDB does not.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "store/mysql/statements.h"
#include "store/test_backups.h"

namespace stayd::test {
namespace {

FullKey key(const std::string& name) {
  return full_key(0, name);
}

class MysqlFaults : public ::testing::Test {
 protected:
  static MariadbServer& server() {
    static MariadbServer one({});
    return one;
  }
  MysqlFaults() { client_->read({}); }
  ~MysqlFaults() override { server().thaw(); }

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

  // Of the client, of which this is true. (innodb_trx would not do: it is not looked at again while
  // somebody keeps asking.)
  std::string connections(const std::string& which) const {
    return server().exec(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'stayd' AND db = '" +
        database_ + "'" + which);
  }

  const std::string database_ = server().make_database();
  std::unique_ptr<MysqlClient> client_ = std::make_unique<MysqlClient>(server().options(database_));
};

TEST_F(MysqlFaults, KilledItIsOutAtOnceAndComesBackWithWhatWasAcknowledged) {
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
  for (int i = 0; i < acknowledged; ++i) {
    EXPECT_EQ(client_->read_one(key(std::to_string(i))).state, RowState::live) << i;
  }
}

TEST_F(MysqlFaults, FrozenItIsReportedAtTheDeadline) {
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

TEST_F(MysqlFaults, ALateAnswerIsNobodyElses) {
  client_->write({put_row(live_row(key("a"), 1, "A")), put_row(live_row(key("b"), 1, "B"))});
  const auto other = server().connect(database_);
  server().exec(other.get(), "BEGIN; SELECT * FROM stayd_meta FOR UPDATE");
  client_->deadline_ms = 100;
  EXPECT_TRUE(client_->write({put_row(live_row(key("a"), 2, "late"))}).empty());
  EXPECT_EQ(client_->last_error.code, Errc::timed_out);
  client_->deadline_ms = 20'000;
  EXPECT_EQ(text_of(client_->read_one(key("b"))), "B");
  server().exec(other.get(), "COMMIT");
  EXPECT_EQ(text_of(client_->read_one(key("b"))), "B");
  // Given up before it was decided, it changes nothing afterwards.
  EXPECT_EQ(text_of(client_->read_one(key("a"))), "A");
}

TEST_F(MysqlFaults, ReadOnlyItAnswersReads) {
  client_->write({put_row(live_row(key("a"), 1, "v"))});
  server().exec("SET GLOBAL read_only = 1");
  EXPECT_TRUE(client_->write({put_row(live_row(key("a"), 2, "w"))}).empty());
  EXPECT_EQ(client_->last_error.code, Errc::unavailable) << client_->last_error.message;
  EXPECT_NE(client_->last_error.message.find("read-only"), std::string::npos)
      << client_->last_error.message;
  wait_for([this] { return status().up && !status().writable; }, "read-only");
  EXPECT_EQ(text_of(client_->read_one(key("a"))), "v");
  FeedCursor cursor;
  EXPECT_EQ(client_->feed_all(cursor).size(), 1U);
  server().exec("SET GLOBAL read_only = 0");
  wait_for([this] { return status().writable; }, "writable");
  EXPECT_EQ(client_->write_one(put_row(live_row(key("a"), 2, "w"))).outcome,
            BackupOutcome::applied);
}

// The server lets some users write all the same; we do not.
TEST_F(MysqlFaults, AUserWhoMayWriteToAReplicaDoesNot) {
  server().exec("GRANT READ_ONLY ADMIN ON *.* TO stayd@localhost");
  server().hang_up();
  server().exec("SET GLOBAL read_only = 1");
  wait_for([this] { return status().up && !status().writable; }, "read-only");
  wait_for(
      [this] {
        EXPECT_TRUE(client_->write({put_row(live_row(key("a"), 2, "w"))}).empty());
        return client_->last_error.code == Errc::unavailable;
      },
      "refused");
  server().exec("SET GLOBAL read_only = 0; REVOKE READ_ONLY ADMIN ON *.* FROM stayd@localhost");
  EXPECT_EQ(server().exec("SELECT COUNT(*) FROM stayd_rows", database_), "0");
}

TEST_F(MysqlFaults, ConnectionsThatAreClosedAreOpenedAgain) {
  client_->write({put_row(live_row(key("a"), 1, "v"))});
  for (int i = 0; i < 5; ++i) {
    server().hang_up();
    wait_for([this] { return !client_->read({key("a")}).empty(); }, "read again");
  }
}

// "The server has gone away": it had hung up while nobody asked for anything.
TEST_F(MysqlFaults, AConnectionThatWasIdleForTooLongIsReplacedUnnoticed) {
  wait_for([this] { return status().up; }, "up");
  server().hang_up();
  wait_for([this] { return connections("") == "4"; }, "connected again");
  EXPECT_EQ(client_->write({put_row(live_row(key("a"), 1, "v"))}).size(), 1U)
      << client_->last_error.message;
}

TEST_F(MysqlFaults, FewerConnectionsThanWishedAreEnough) {
  server().exec("ALTER USER stayd@localhost WITH MAX_USER_CONNECTIONS 1");
  server().hang_up();
  wait_for([this] { return !client_->read({key("a")}).empty(); }, "one connection");
  EXPECT_EQ(client_->write({put_row(live_row(key("a"), 1, "v"))}).size(), 1U);
  EXPECT_EQ(client_->write({put_row(tomb_row(key("a"), 2))}).size(), 1U);
  wait_for([this] { return status().error.find("max_user_connections") != std::string::npos; },
           "it says so");
  server().exec("ALTER USER stayd@localhost WITH MAX_USER_CONNECTIONS 0");
}

// Whatever a host has piled up, one connection is left for logouts.
TEST_F(MysqlFaults, LogoutsDoNotWaitBehindBulk) {
  client_->write({put_row(live_row(key("locked"), 1, "v"))});
  const auto other = server().connect(database_);
  server().exec(other.get(), "BEGIN; SELECT * FROM stayd_meta FOR UPDATE");
  for (BackupToken token = 1000; token < 1200; ++token) {
    client_->backup().write({{put_row(live_row(key("locked"), token, "w"))}}, token,
                            client_->deadline_us());
  }
  client_->backup().write({{put_row(tomb_row(key("a"), 1))}}, 2000, client_->deadline_us());
  wait_for([&] { return connections(" AND info LIKE '%FOR UPDATE%'") == "3"; },
           "two and the logout wait");
  server().exec(other.get(), "COMMIT");
  client_->until(2000);
  EXPECT_EQ(client_->last_error.message, "");
  EXPECT_FALSE(client_->recorder.seen(1199));
  for (BackupToken token = 1000; token < 1200; ++token) client_->until(token);
}

TEST_F(MysqlFaults, WhatDoesNotFitTheQueueIsRefusedAtOnce) {
  const auto other = server().connect(database_);
  server().exec(other.get(), "LOCK TABLES stayd_rows WRITE");
  const BackupToken first = 1000, end = first + 1100;
  for (BackupToken token = first; token < end; ++token) {
    client_->backup().read({key("a")}, token, client_->deadline_us());
  }
  client_->until(end - 1);
  EXPECT_EQ(client_->last_error.code, Errc::limit) << client_->last_error.message;
  server().exec(other.get(), "UNLOCK TABLES");
  for (BackupToken token = first; token < end; ++token) client_->until(token);
  EXPECT_EQ(client_->last_error.code, Errc::limit);
}

// Two transactions that take the same rows from opposite ends, by hand so that they must deadlock,
// and so that ours, which has changed less, is the one that is undone.
TEST_F(MysqlFaults, ADeadlockIsTriedAgain) {
  client_->write({put_row(live_row(key("a"), 1, "v")), put_row(live_row(key("b"), 1, "v"))});
  const auto other = server().connect(database_);
  server().exec(other.get(),
                "CREATE TABLE weight (n INT) ENGINE = InnoDB; BEGIN; "
                "INSERT INTO weight SELECT seq FROM seq_1_to_1000; "
                "UPDATE stayd_rows SET hlc = hlc + 0, created_at_ms = 7 WHERE row_key = "
                "CONCAT(X'00', 'b')");
  client_->backup().write(
      {{put_row(live_row(key("a"), 2, "w")), put_row(live_row(key("b"), 2, "w"))}}, 1000,
      client_->deadline_us());
  wait_for([&] { return connections(" AND info LIKE '%stayd_rows%FOR UPDATE'") == "1"; },
           "the batch has the counter and waits for b");
  server().exec(other.get(), "SELECT * FROM stayd_meta FOR UPDATE; COMMIT");
  client_->until(1000);
  EXPECT_EQ(client_->last_error.message, "");
  EXPECT_EQ(text_of(client_->read_one(key("b"))), "w");
  EXPECT_NE(server().exec("SELECT variable_value FROM information_schema.global_status "
                          "WHERE variable_name = 'Innodb_deadlocks'"),
            "0");
}

// A stayd that stops for good between its lock and its commit, as under a SIGSTOP or a lost
// network.
TEST_F(MysqlFaults, OneThatStopsInTheMiddleOfATransactionHoldsUpTheOthersForSecondsOnly) {
  const auto stopped = server().connect(database_);
  server().exec(stopped.get(), mysql::kBegin);
  const std::int64_t from = real_now().mono_us;
  EXPECT_EQ(client_->write({put_row(live_row(key("a"), 1, "v"))}).size(), 1U)
      << client_->last_error.message;
  EXPECT_GT(real_now().mono_us - from, 500'000);
  EXPECT_LT(real_now().mono_us - from, 10'000'000);
  EXPECT_EQ(text_of(client_->read_one(key("a"))), "v");
}

// Cut off between what it has written and its commit, by the server: nothing of it is there.
TEST_F(MysqlFaults, ATransactionThatIsCutOffLeavesNothing) {
  const auto other = server().connect(database_);
  server().exec(other.get(), "BEGIN; INSERT INTO stayd_hosts VALUES (7, '', 1, 0, 0, 0)");
  // It waits for the host's row behind everything else that it has written.
  client_->backup().write({.writes = {put_row(live_row(key("a"), 1, "v"))},
                           .host = BackupHost{.instance = 7, .hlc = 5}},
                          1000, client_->deadline_us());
  wait_for([&] { return connections(" AND info LIKE 'INSERT INTO stayd_hosts%'") == "1"; },
           "it waits at its end");
  server().hang_up();
  client_->until(1000);
  EXPECT_EQ(client_->last_error.code, Errc::io) << client_->last_error.message;
  server().exec(other.get(), "ROLLBACK");
  wait_for([this] { return !client_->read({key("a")}).empty(); }, "read");
  EXPECT_EQ(client_->read_one(key("a")).state, RowState::absent);
}

// -- sizes ----------------------------------------------------------------------------------------

TEST_F(MysqlFaults, AValueAboveMaxAllowedPacketIsRefusedByName) {
  server().exec("SET GLOBAL max_allowed_packet = 1048576");
  MysqlClient client(server().options(database_));
  EXPECT_TRUE(client.write({put_row(live_row(key("a"), 1, std::string(2 << 20, 'v')))}).empty());
  EXPECT_EQ(client.last_error.code, Errc::limit);
  EXPECT_NE(client.last_error.message.find("max_allowed_packet is 1048576"), std::string::npos)
      << client.last_error.message;
  // Many that are below it are sent one after the other.
  std::vector<BackupWrite> writes;
  for (int i = 0; i < 30; ++i) {
    writes.push_back(put_row(live_row(key(std::to_string(i)), 1, std::string(100'000, '\''))));
  }
  EXPECT_EQ(client.write(writes).size(), 30U) << client.last_error.message;
  server().exec("SET GLOBAL max_allowed_packet = 67108864");
  EXPECT_EQ(text_of(client.read_one(key("29"))), std::string(100'000, '\''));
}

TEST(MysqlFull, ATableThatIsFullIsSaidAndReadsGoOn) {
  MariadbServer server(
      {"--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend:max:24M"});
  const std::string database = server.make_database();
  MysqlClient client(server.options(database));
  client.write({put_row(live_row(key("small"), 1, "v"))});
  for (int i = 0; i < 100 && client.last_error.message.empty(); ++i) {
    client.write({put_row(live_row(key(std::to_string(i)), 1, std::string(1 << 20, 'v')))});
  }
  EXPECT_EQ(client.last_error.code, Errc::no_space) << client.last_error.message;
  EXPECT_EQ(text_of(client.read_one(key("small"))), "v");
  EXPECT_TRUE(client.backup().status().up);
}

// -- what one must put right ----------------------------------------------------------------------

void expect_says(const BackupOptions& options, const std::string& text) {
  MysqlClient client(options);
  client.read({key("a")});
  EXPECT_EQ(client.last_error.code, Errc::unavailable);
  EXPECT_NE(client.last_error.message.find(text), std::string::npos) << client.last_error.message;
  EXPECT_FALSE(client.backup().status().up);
}

TEST_F(MysqlFaults, WhatIsWrongIsSaid) {
  BackupOptions options = server().options(database_);
  options.url = server().tcp_url(database_, "wrong");
  expect_says(options, "Access denied for user 'stayd'");
  options.url = server().tcp_url(server().make_database(false), "right");
  expect_says(options, "run \"stayd backup init\"");
  server().exec("GRANT ALL ON nowhere.* TO stayd@127.0.0.1");
  options.url = server().tcp_url("nowhere", "right");
  expect_says(options, "create the database first");
  options.url = "mysql://stayd@127.0.0.1:1/x?ssl-mode=disabled";
  expect_says(options, "Can't connect");
  options.url = server().tcp_url(database_, "right");
  options.url.resize(options.url.find('?'));  // TLS is the default, and this server has none
  expect_says(options, "the server offers no TLS");
  options.url = "mysql://stayd@127.0.0.1";
  server().exec("UPDATE stayd_meta SET version = 3", database_);
  options.url = server().url(database_);
  MysqlClient newer(options);
  newer.read({key("a")});
  EXPECT_NE(newer.last_error.message.find("version 3, this stayd knows 1"), std::string::npos)
      << newer.last_error.message;
}

TEST_F(MysqlFaults, ThePasswordIsAskedForEachConnection) {
  std::atomic<int> asked = 0;
  BackupOptions options = server().options(database_);
  options.url = server().tcp_url(database_, "");
  options.password = [&asked]() -> Result<std::string> {
    return ++asked == 1 ? std::string("old") : std::string("right");
  };
  MysqlClient client(options);
  wait_for([&] { return !client.read({key("a")}).empty(); }, "the new password is taken up");
}

TEST_F(MysqlFaults, TheClocksAreCompared) {
  BackupOptions options = server().options(database_);
  options.now = [] {
    Now now = real_now();
    now.wall_ms -= 5'000;
    return now;
  };
  MysqlClient client(options);
  client.read({key("a")});
  const auto offset = [&] {
    client.deliver();
    return client.backup().status().clock_offset_ms;
  };
  wait_for([&] { return offset() != 0; }, "measured");
  EXPECT_NEAR(static_cast<double>(offset()), 5'000.0,
              1.0 + static_cast<double>(client.backup().status().clock_error_ms));
}

// It would write in clear for as long as its connections last.
TEST_F(MysqlFaults, WhoIsConnectedWithoutAKeyIsRefusedFromThenOn) {
  BackupOptions options = server().options(database_);
  options.look_interval_us = 10'000;
  MysqlClient client(options);
  client.write_one(put_row(live_row(key("a"), 1, "in clear")));
  const BackupOptions sealed = sealed_options(server().options(database_), 'k');
  MysqlAdmin admin(sealed);
  ASSERT_TRUE(admin.connect());
  ASSERT_TRUE(admin.init());
  Hlc hlc = 1;
  const std::int64_t limit_us = real_now().mono_us + 20'000'000;
  const auto told = [&client] { return client.backup().status().error; };
  while (told().find("no encryption key is given") == std::string::npos) {
    ASSERT_LT(real_now().mono_us, limit_us) << told();
    client.write({put_row(live_row(key("a"), ++hlc, "in clear"))});
  }
  EXPECT_TRUE(client.write({put_row(live_row(key("late"), 1, "in clear"))}).empty());
  EXPECT_EQ(server().exec("SELECT COUNT(*) FROM stayd_rows WHERE row_key LIKE '%late'", database_),
            "0");
}

}  // namespace
}  // namespace stayd::test
