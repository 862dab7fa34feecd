// Values that are sealed in a database: the key ring there, and what a wrong key gets.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <thread>

#include "store/backup/database_test.h"

namespace stayd::test {
namespace {

class SealedTest : public DatabaseTest {
 protected:
  using DatabaseTest::DatabaseTest;
  BackupOptions sealed(char byte, const std::string& older = "") const {
    return sealed_options(server_.options(database_), byte, older);
  }
  static std::string refusal(const BackupOptions& options) {
    DatabaseClient client(options);
    EXPECT_TRUE(client.read({"a"}).empty());
    EXPECT_FALSE(client.status().up);
    return client.last_error.message;
  }
  // Of rows, how many.
  std::string count(const std::string& which) const {
    return sql(fmt::format("SELECT COUNT(*) FROM {} WHERE {}", server_.sql.rows, which));
  }
  std::string key_is(const std::string& name) const {
    return server_.sql.key + " = " + server_.bytes(name);
  }
};
using SealedBackup = OnEach<SealedTest>;
INSTANTIATE_TEST_SUITE_P(Each, SealedBackup, ::testing::ValuesIn(kShared), name_of);

TEST_P(SealedBackup, RowsOfBeforeAreReadAndNewOnesAreSealed) {
  client_->write_one(put_row(live_row("a", 1, "old")));
  ASSERT_TRUE(init_backup(sealed('k')));
  DatabaseClient client(sealed('k'));
  client.write_one(put_row(live_row("b", 2, "needle")));
  EXPECT_EQ(text_of(client.read_one("b")), "needle");
  EXPECT_EQ(count(fmt::format("POSITION({} IN value) > 0", server_.bytes("needle"))), "0");
  EXPECT_EQ(count(key_is("b") + " AND SUBSTRING(value FROM 1 FOR 1) = " + server_.bytes("\2")),
            "1");
  FeedCursor cursor;
  EXPECT_EQ(client.feed_all(cursor).size(), 2U);
}

TEST_P(SealedBackup, AKeyOnOneSideOnlyIsRefused) {
  EXPECT_NE(refusal(sealed('k')).find("stayd backup init"), std::string::npos);
  ASSERT_TRUE(init_backup(sealed('k')));
  EXPECT_NE(refusal(server_.options(database_)).find("no encryption key"), std::string::npos);
  EXPECT_NE(refusal(sealed('x')).find("does not open"), std::string::npos);
  EXPECT_FALSE(init_backup(sealed('x'))) << "nobody's ring is written over";
  DatabaseClient client(sealed('k'));
  client.write_one(put_row(live_row("b", 2, "v")));
  EXPECT_EQ(client.last_error.message, "");
}

// It used to write in clear for as long as its connections lasted.
TEST_P(SealedBackup, WhoIsConnectedWithoutAKeyIsRefusedFromThenOn) {
  BackupOptions options = server_.options(database_);
  options.look_interval_us = 10'000;
  DatabaseClient client(options);
  client.write_one(put_row(live_row("a", 1, "in clear")));
  ASSERT_TRUE(init_backup(sealed('k')));
  Hlc hlc = 1;
  // Without a connection: one that was being opened meanwhile has looked, too.
  wait_for(
      [&] {
        client.write({put_row(live_row("a", ++hlc, "in clear"))});
        const BackupStatus status = client.status();
        return !status.up && status.error.find("no encryption key is given") != std::string::npos;
      },
      "refused");
  EXPECT_TRUE(client.write({put_row(live_row("late", 1, "in clear"))}).empty());
  EXPECT_EQ(count(key_is("late")), "0");
}

TEST_P(SealedBackup, ManyAtOnceMakeOneRing) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] { EXPECT_TRUE(init_backup(sealed('k'))); });
  }
  for (std::thread& thread : threads) thread.join();
  DatabaseClient one(sealed('k')), other(sealed('k'));
  one.write_one(put_row(live_row("b", 2, "v")));
  EXPECT_EQ(text_of(other.read_one("b")), "v");
}

TEST_P(SealedBackup, AnotherMasterKeyWrapsTheRingAnew) {
  ASSERT_TRUE(init_backup(sealed('k')));
  DatabaseClient before(sealed('k'));
  before.write_one(put_row(live_row("b", 2, "v")));
  ASSERT_TRUE(init_backup(sealed('n', "k")));
  EXPECT_NE(refusal(sealed('k')), "");
  DatabaseClient after(sealed('n'));
  EXPECT_EQ(text_of(after.read_one("b")), "v");
  after.write_one(put_row(live_row("b", 3, "w")));
  EXPECT_EQ(text_of(before.read_one("b")), "w") << "connected since before";
}

TEST_P(SealedBackup, ExchangedValuesDoNotOpen) {
  ASSERT_TRUE(init_backup(sealed('k')));
  DatabaseClient client(sealed('k'));
  client.write_one(put_row(live_row("b", 1, "mine")));
  client.write_one(put_row(live_row("c", 2, "yours")));
  sql(
      fmt::format("UPDATE {0} a SET value = (SELECT v FROM (SELECT {1} AS k, value AS v FROM {0} "
                  "LIMIT 2) both_rows WHERE k <> a.{1})",
                  server_.sql.rows, server_.sql.key));
  for (const char* key : {"b", "c"}) {
    const BackupRow row = client.read_one(key);
    EXPECT_NE(row.unreadable.find("does not open"), std::string::npos) << row.unreadable;
    EXPECT_EQ(text_of(row), "(no text)");
  }
}

class SealedPostgres : public SealedTest {
 protected:
  SealedPostgres() : SealedTest(shared_postgres()) {}
};

// A stayd without a key took that for a beginning encryption, and connected again for ever.
TEST_F(SealedPostgres, ALostRingIsSaid) {
  ASSERT_TRUE(init_backup(sealed('k')));
  sql("DELETE FROM stayd.keys");
  EXPECT_NE(refusal(server_.options(database_)).find("stayd.keys is empty"), std::string::npos);
  EXPECT_NE(refusal(sealed('k')).find("stayd.keys is empty"), std::string::npos);
}

}  // namespace
}  // namespace stayd::test
