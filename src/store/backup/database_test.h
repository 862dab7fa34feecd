// What the tests of the backups in real databases have in common: the database, a stayd on it, and
// how a test runs on each of them. Tests only.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "store/test_backups.h"

namespace stayd::test {

class DatabaseTest : public ::testing::Test {
 protected:
  explicit DatabaseTest(DatabaseServer& server) : server_(server) {}

  static FullKey key(const std::string& name) { return full_key(0, name); }
  std::unique_ptr<DatabaseClient> connect(const std::string& database) const {
    return std::make_unique<DatabaseClient>(server_.options(database));
  }
  std::string sql(const std::string& text) const { return server_.exec(text, database_); }

  DatabaseServer& server_;
  const std::string database_ = server_.make_database();
  std::unique_ptr<DatabaseClient> client_ = connect(database_);
};

// On one that may be broken; with all of its connections.
class FaultTest : public DatabaseTest {
 protected:
  explicit FaultTest(DatabaseServer& server) : DatabaseTest(server) {
    wait_for([this] { return connections() == "4"; }, "connected");
    client_->read({});
  }
  ~FaultTest() override { server_.thaw(); }

  BackupStatus status() { return client_->status(); }
  void until_up() {
    wait_for([this] { return status().up; }, "up");
  }
  void until_down() {
    wait_for([this] { return !status().up; }, "down");
  }
  // Connections whose end has not been noticed yet lose what they are given.
  void until_written(const BackupWrite& write) {
    wait_for([&] { return client_->write({write}).size() == 1; }, "written");
  }
  std::string connections(const std::string& which = "") const {
    return server_.connections(database_, which);
  }
  // A batch takes a and waits for b, which another session has taken, and which then asks for a.
  void expect_deadlock_is_tried_again(const std::string& take_b, const std::string& waits,
                                      const std::string& take_a) {
    client_->write({put_row(live_row(key("a"), 1, "v")), put_row(live_row(key("b"), 1, "v"))});
    const auto other = server_.connect(database_);
    other->exec(take_b);
    client_->backup().write(
        {{put_row(live_row(key("a"), 2, "w")), put_row(live_row(key("b"), 2, "w"))}}, 1000,
        client_->deadline_us());
    wait_for([&] { return connections(waits) == "1"; }, "the batch waits for b");
    other->exec(take_a + "; COMMIT");
    client_->until(1000);
    EXPECT_EQ(client_->last_error.message, "");
    EXPECT_EQ(text_of(client_->read_one(key("b"))), "w");
  }
};

class FeedTest : public DatabaseTest {
 protected:
  using DatabaseTest::DatabaseTest;
  void put(BackupClient& client, const std::string& name, Hlc hlc) {
    EXPECT_EQ(client.write_one(put_row(live_row(key(name), hlc, name))).outcome,
              BackupOutcome::applied);
  }
  static std::set<FullKey> keys(const std::vector<BackupRow>& rows) {
    std::set<FullKey> out;
    for (const BackupRow& row : rows) out.insert(row.key);
    return out;
  }
  // While connected.
  void until_another_epoch(const std::string& before) {
    client_->until_true([&] {
      const BackupStatus status = client_->status();
      return status.epoch != before && status.up;
    });
  }
};

struct Database {
  const char* name;
  DatabaseServer& (*server)();
};
inline constexpr Database kShared[] = {{"postgres", shared_postgres}, {"mariadb", shared_mariadb}};
inline constexpr Database kDurable[] = {{"postgres", durable_postgres},
                                        {"mariadb", durable_mariadb}};

// The fixture `Base`, on each database.
template <class Base>
class OnEach : public Base, public ::testing::WithParamInterface<Database> {
 protected:
  OnEach() : Base(::testing::WithParamInterface<Database>::GetParam().server()) {}
};

inline std::string name_of(const ::testing::TestParamInfo<Database>& info) {
  return info.param.name;
}

}  // namespace stayd::test
