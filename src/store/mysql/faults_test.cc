// What the backup does when its MariaDB does not: what is MariaDB's alone.
#include <gtest/gtest.h>

#include "store/backup/database_test.h"
#include "store/mysql/statements.h"

namespace stayd::test {
namespace {

class MysqlFaults : public FaultTest {
 protected:
  MysqlFaults() : FaultTest(durable_mariadb()) {}
};

TEST_F(MysqlFaults, GivenUpBeforeItWasDecidedItChangesNothing) {
  client_->write({put_row(live_row(key("a"), 1, "A"))});
  const auto other = server_.connect(database_);
  other->exec(server_.sql.hold_writes);
  client_->deadline_ms = 100;
  EXPECT_TRUE(client_->write({put_row(live_row(key("a"), 2, "late"))}).empty());
  client_->deadline_ms = 20'000;
  other->exec("COMMIT");
  EXPECT_EQ(text_of(client_->read_one(key("a"))), "A");
}

// Connections stay, and nothing is lost on them.
TEST_F(MysqlFaults, ReadOnlyItSaysSoToTheFirstWrite) {
  server_.set_read_only(database_, true);
  EXPECT_TRUE(client_->write({put_row(live_row(key("a"), 1, "v"))}).empty());
  EXPECT_EQ(client_->last_error.code, Errc::unavailable) << client_->last_error.message;
  EXPECT_NE(client_->last_error.message.find("read-only"), std::string::npos)
      << client_->last_error.message;
  server_.set_read_only(database_, false);
}

// The server lets some users write all the same; we do not.
TEST_F(MysqlFaults, AUserWhoMayWriteToAReplicaDoesNot) {
  server_.exec("GRANT READ_ONLY ADMIN ON *.* TO stayd@localhost");
  server_.hang_up();
  server_.set_read_only(database_, true);
  wait_for([this] { return status().up && !status().writable; }, "read-only");
  wait_for(
      [this] {
        EXPECT_TRUE(client_->write({put_row(live_row(key("a"), 2, "w"))}).empty());
        return client_->last_error.code == Errc::unavailable;
      },
      "refused");
  server_.exec("SET GLOBAL read_only = 0; REVOKE READ_ONLY ADMIN ON *.* FROM stayd@localhost");
  EXPECT_EQ(sql("SELECT COUNT(*) FROM stayd_rows"), "0");
}

// Whatever a host has piled up, one connection is left for logouts.
TEST_F(MysqlFaults, LogoutsDoNotWaitBehindBulk) {
  client_->write({put_row(live_row(key("locked"), 1, "v"))});
  const auto other = server_.connect(database_);
  other->exec("BEGIN; SELECT * FROM stayd_meta FOR UPDATE");
  for (BackupToken token = 1000; token < 1200; ++token) {
    client_->backup().write({{put_row(live_row(key("locked"), token, "w"))}}, token,
                            client_->deadline_us());
  }
  client_->backup().write({{put_row(tomb_row(key("a"), 1))}}, 2000, client_->deadline_us());
  wait_for([&] { return connections(" AND info LIKE '%FOR UPDATE%'") == "3"; },
           "two and the logout wait");
  other->exec("COMMIT");
  client_->until(2000);
  EXPECT_EQ(client_->last_error.message, "");
  EXPECT_FALSE(client_->recorder.seen(1199));
  for (BackupToken token = 1000; token < 1200; ++token) client_->until(token);
}

// Of the two, ours has changed less, and so is the one that is undone.
TEST_F(MysqlFaults, ADeadlockIsTriedAgain) {
  expect_deadlock_is_tried_again(
      "CREATE TABLE weight (n INT) ENGINE = InnoDB; BEGIN; "
      "INSERT INTO weight SELECT seq FROM seq_1_to_1000; "
      "UPDATE stayd_rows SET hlc = hlc + 0, created_at_ms = 7 WHERE row_key = CONCAT(X'00', 'b')",
      " AND info LIKE '%stayd_rows%FOR UPDATE'", "SELECT * FROM stayd_meta FOR UPDATE");
  EXPECT_NE(server_.exec("SELECT variable_value FROM information_schema.global_status "
                         "WHERE variable_name = 'Innodb_deadlocks'"),
            "0");
}

// A stayd that stops for good between its lock and its commit, as under a SIGSTOP or a lost
// network.
TEST_F(MysqlFaults, OneThatStopsInTheMiddleOfATransactionHoldsUpTheOthersForSecondsOnly) {
  const auto stopped = server_.connect(database_);
  stopped->exec(mysql::kBegin);
  const std::int64_t from = real_now().mono_us;
  EXPECT_EQ(client_->write({put_row(live_row(key("a"), 1, "v"))}).size(), 1U)
      << client_->last_error.message;
  EXPECT_GT(real_now().mono_us - from, 500'000);
  EXPECT_LT(real_now().mono_us - from, 10'000'000);
  EXPECT_EQ(text_of(client_->read_one(key("a"))), "v");
}

// Cut off between what it has written and its commit, by the server: nothing of it is there.
TEST_F(MysqlFaults, ATransactionThatIsCutOffLeavesNothing) {
  const auto other = server_.connect(database_);
  other->exec("BEGIN; INSERT INTO stayd_hosts VALUES (7, '', 1, 0, 0, 0)");
  // It waits for the host's row behind everything else that it has written.
  client_->backup().write({.writes = {put_row(live_row(key("a"), 1, "v"))},
                           .host = BackupHost{.instance = 7, .hlc = 5}},
                          1000, client_->deadline_us());
  wait_for([&] { return connections(" AND info LIKE 'INSERT INTO stayd_hosts%'") == "1"; },
           "it waits at its end");
  server_.hang_up();
  client_->until(1000);
  EXPECT_EQ(client_->last_error.code, Errc::io) << client_->last_error.message;
  other->exec("ROLLBACK");
  wait_for([this] { return !client_->read({key("a")}).empty(); }, "read");
  EXPECT_EQ(client_->read_one(key("a")).state, RowState::absent);
}

TEST_F(MysqlFaults, AServerWithoutTlsIsRefused) {
  BackupOptions options = server_.options(database_);
  options.url = server_.tcp_url(database_, "right");
  options.url.resize(options.url.find('?'));  // TLS is the default, and this server has none
  DatabaseClient client(options);
  client.read({key("a")});
  EXPECT_EQ(client.last_error.code, Errc::unavailable);
  EXPECT_NE(client.last_error.message.find("the server offers no TLS"), std::string::npos)
      << client.last_error.message;
  EXPECT_FALSE(client.status().up);
}

// -- sizes ----------------------------------------------------------------------------------------

TEST_F(MysqlFaults, AValueAboveMaxAllowedPacketIsRefusedByName) {
  server_.exec("SET GLOBAL max_allowed_packet = 1048576");
  DatabaseClient client(server_.options(database_));
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
  server_.exec("SET GLOBAL max_allowed_packet = 67108864");
  EXPECT_EQ(text_of(client.read_one(key("29"))), std::string(100'000, '\''));
}

TEST(MysqlFull, ATableThatIsFullIsSaidAndReadsGoOn) {
  MariadbServer server(
      {"--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend:max:24M"});
  const std::string database = server.make_database();
  DatabaseClient client(server.options(database));
  client.write({put_row(live_row("small", 1, "v"))});
  for (int i = 0; i < 100 && client.last_error.message.empty(); ++i) {
    client.write({put_row(live_row(std::to_string(i), 1, std::string(1 << 20, 'v')))});
  }
  EXPECT_EQ(client.last_error.code, Errc::no_space) << client.last_error.message;
  EXPECT_EQ(text_of(client.read_one("small")), "v");
  EXPECT_TRUE(client.backup().status().up);
}

}  // namespace
}  // namespace stayd::test
