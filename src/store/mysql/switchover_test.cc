// A MariaDB that was read-only, becomes it, or is another one behind the same address; and a
// connection that is left in the middle of something.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "store/mysql/admin.h"
#include "store/test_backups.h"
#include "store/test_proxy.h"

namespace stayd::test {
namespace {

FullKey key(const std::string& name) {
  return full_key(0, name);
}

class MysqlSwitchover : public ::testing::Test {
 protected:
  static MariadbServer& server() {
    static MariadbServer one;
    return one;
  }
  ~MysqlSwitchover() override { server().exec("SET GLOBAL read_only = 0"); }

  BackupOptions options_by(const TestProxy& proxy) const {
    BackupOptions out = server().options(database_);
    out.url = server().tcp_url(database_, "right", proxy.port());
    return out;
  }
  // Ids of the client's connections.
  std::string connections() const {
    return server().exec(
        "SELECT GROUP_CONCAT(id ORDER BY id) FROM information_schema.processlist "
        "WHERE user = 'stayd' AND db = '" +
        database_ + "'");
  }

  const std::string database_ = server().make_database();
};

// It went back to the pool inside of its transaction, with its lock on everybody's writes.
TEST_F(MysqlSwitchover, AConnectionWhoseRollbackFailsIsGivenUp) {
  TestProxy proxy(server().port());
  BackupOptions options = options_by(proxy);
  options.connections = 1;
  DatabaseClient client(options);
  client.read({});
  const std::string before = connections();
  proxy.replace("ROLLBACK", "ROLLBXCK");
  // Nothing to lock, for whoever begins to write.
  server().exec("UPDATE stayd_meta SET one = 2", database_);
  EXPECT_TRUE(client.write({put_row(live_row(key("a"), 1, "v"))}).empty());
  wait_for(
      [&] {
        client.read({key("a")});  // one that is used is not closed for being idle
        return connections() != before;
      },
      "another connection");
}

// The feed went by what its connection had found when it was opened.
TEST_F(MysqlSwitchover, OpenedWhileItWasReadOnlyAConnectionShowsHostsAfterwards) {
  server().exec("SET GLOBAL read_only = 1");
  BackupOptions options = server().options(database_);
  options.reopen_interval_us = 3'600'000'000;
  DatabaseClient client(options);
  EXPECT_FALSE(client.feed({}).hosts) << client.last_error.message;
  server().exec("SET GLOBAL read_only = 0");
  EXPECT_TRUE(client.feed({}).hosts) << client.last_error.message;
}

// An address moves to the new primary, and the old one lives on, read-only: TCP connections do not
// notice.
TEST_F(MysqlSwitchover, AfterASwitchoverBehindTheAddressWritesGoToTheNewPrimary) {
  MariadbServer other;
  std::string database = other.make_database();
  while (database != database_) database = other.make_database();
  TestProxy proxy(server().port());
  BackupOptions options = options_by(proxy);
  options.reopen_interval_us = 10'000;
  options.connections = 2;
  DatabaseClient client(options);
  client.write_one(put_row(live_row(key("a"), 1, "v")));
  wait_for([&] { return connections().find(',') != std::string::npos; }, "both connections");
  const std::string epoch = client.status().epoch;
  proxy.lead_to(other.port());
  server().exec("SET GLOBAL read_only = 1");
  wait_for([&] { return client.status().epoch != epoch && client.status().writable; },
           "the new primary");
  client.write_one(put_row(live_row(key("a"), 2, "w")));
  EXPECT_EQ(other.exec("SELECT COUNT(*) FROM stayd_rows", database_), "1");
}

// Where there is no other one, looking for it stands in nobody's way.
TEST_F(MysqlSwitchover, WhileConnectionsAreOpenedAnewReadsAreAnswered) {
  BackupOptions options = server().options(database_);
  options.connections = 1;
  options.reopen_interval_us = 10'000;
  DatabaseClient client(options);
  client.write_one(put_row(live_row(key("a"), 1, "v")));
  server().exec("SET GLOBAL read_only = 1");
  std::set<std::string> seen;
  wait_for(
      [&] {
        EXPECT_EQ(text_of(client.read_one(key("a"))), "v");
        EXPECT_TRUE(client.status().up);
        seen.insert(connections());
        return seen.size() > 5;
      },
      "connections were opened anew");
}

// MariaDB takes the change time of a file for the time at which a table was made.
TEST_F(MysqlSwitchover, WhenItsFilesWereTouchedItIsAnotherOneAndAllIsShownAgain) {
  BackupOptions options = server().options(database_);
  options.look_interval_us = 10'000;
  DatabaseClient client(options);
  client.write_one(put_row(live_row(key("a"), 1, "v")));
  FeedCursor cursor;
  EXPECT_EQ(client.feed_all(cursor).size(), 1U);
  const std::string epoch = client.status().epoch;
  const std::filesystem::path file =
      std::filesystem::path(server().folder()) / "data" / database_ / "stayd_meta.frm";
  wait_for(
      [&] {
        std::filesystem::permissions(file, std::filesystem::status(file).permissions());
        server().exec("FLUSH TABLES");
        return client.status().epoch != epoch;
      },
      "another epoch");
  wait_for([&] { return client.write({put_row(live_row(key("b"), 1, "v"))}).size() == 1; },
           "written");
  EXPECT_EQ(client.feed_all(cursor).size(), 2U) << "from the beginning";
}

// -- what one must put right ----------------------------------------------------------------------

TEST_F(MysqlSwitchover, ACopyThatTakesNoWritesYetIsSaid) {
  server().exec("UPDATE stayd_meta SET home = 'elsewhere'", database_);
  server().exec("SET GLOBAL read_only = 1");
  DatabaseClient client(server().options(database_));
  client.read({});
  EXPECT_EQ(client.last_error.code, Errc::unavailable);
  EXPECT_NE(client.last_error.message.find("takes no writes yet"), std::string::npos)
      << client.last_error.message;
  server().exec("SET GLOBAL read_only = 0");
  wait_for([&] { return client.status().writable; }, "it is the one now");
}

TEST_F(MysqlSwitchover, AnInitThatTakesLongIsNotWaitedForForEver) {
  const auto other = server().connect(database_);
  ASSERT_EQ(other->exec("SELECT GET_LOCK(CONCAT('stayd ', MD5(DATABASE())), 1)"), "1");
  const BackupOptions options = server().options(database_);
  MysqlAdmin admin(options);
  ASSERT_TRUE(admin.connect());
  admin.init_patience_s = 1;
  const auto made = admin.init();
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::busy);
  EXPECT_NE(made.error().message.find("at \"init\" for 1 s"), std::string::npos);
}

}  // namespace
}  // namespace stayd::test
