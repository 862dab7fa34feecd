// Values that are sealed in the database: the key ring there, and what a wrong key gets.
#include <gtest/gtest.h>

#include <thread>

#include "store/postgres/admin.h"
#include "store/test_backups.h"

namespace stayd::test {
namespace {

class SealedBackup : public ::testing::Test {
 protected:
  Result<PostgresAdmin::Made> init(const BackupOptions& options) const {
    PostgresAdmin admin(options);
    EXPECT_TRUE(admin.connect());
    return admin.init();
  }
  std::string sql(const char* text) const {
    const BackupOptions options = shared_server().options(database_);
    BlockingConnection connection(options, real_now().mono_us + 10'000'000, -1);
    EXPECT_TRUE(connection.open());
    const auto result = connection.exec(text);
    EXPECT_TRUE(result) << result.error().message;
    return result && PQntuples(result->get()) > 0 ? PQgetvalue(result->get(), 0, 0) : "";
  }
  std::string refusal(const BackupOptions& options) const {
    BlockingConnection connection(options, real_now().mono_us + 10'000'000, -1);
    EXPECT_TRUE(connection.open());
    const auto session = connection.set_up();
    EXPECT_FALSE(session);
    return session ? "" : session.error().message;
  }

  const std::string database_ = shared_server().make_database();
};

TEST_F(SealedBackup, RowsOfBeforeAreReadAndNewOnesAreSealed) {
  PostgresClient(shared_server().options(database_)).write_one(put_row(live_row("a", 1, "old")));
  ASSERT_TRUE(init(sealed_backup(database_, 'k')));
  PostgresClient client(sealed_backup(database_, 'k'));
  client.write_one(put_row(live_row("b", 2, "needle")));
  EXPECT_EQ(text_of(client.read_one("b")), "needle");
  EXPECT_EQ(sql("SELECT count(*) FROM stayd.rows WHERE position('needle'::bytea IN value) > 0"),
            "0");
  EXPECT_EQ(sql("SELECT get_byte(value, 0) FROM stayd.rows WHERE key = 'b'"), "2");
  FeedCursor cursor;
  EXPECT_EQ(client.feed_all(cursor).size(), 2U);
}

TEST_F(SealedBackup, AKeyOnOneSideOnlyIsRefused) {
  EXPECT_NE(refusal(sealed_backup(database_, 'k')).find("stayd backup init"), std::string::npos);
  ASSERT_TRUE(init(sealed_backup(database_, 'k')));
  EXPECT_NE(refusal(shared_server().options(database_)).find("no encryption key"),
            std::string::npos);
  EXPECT_NE(refusal(sealed_backup(database_, 'x')).find("does not open"), std::string::npos);
  EXPECT_FALSE(init(sealed_backup(database_, 'x'))) << "nobody's ring is written over";
  PostgresClient client(sealed_backup(database_, 'k'));
  client.write_one(put_row(live_row("b", 2, "v")));
  EXPECT_EQ(client.last_error.message, "");
}

// It used to write in clear for as long as its connections lasted.
TEST_F(SealedBackup, WhoIsConnectedWithoutAKeyIsRefusedFromThenOn) {
  BackupOptions options = shared_server().options(database_);
  options.look_interval_us = 10'000;
  PostgresClient client(options);
  client.write_one(put_row(live_row("a", 1, "in clear")));
  ASSERT_TRUE(init(sealed_backup(database_, 'k')));
  Hlc hlc = 1;
  const std::int64_t limit_us = real_now().mono_us + 20'000'000;
  while (client.last_error.message.empty() && real_now().mono_us < limit_us) {
    client.write({put_row(live_row("a", ++hlc, "in clear"))});
  }
  const auto told = [&client] { return client.backup().status().error; };
  while (told().find("no encryption key is given") == std::string::npos) {
    ASSERT_LT(real_now().mono_us, limit_us) << told();
    client.write({put_row(live_row("late", 1, "in clear"))});
  }
  EXPECT_EQ(sql("SELECT count(*) FROM stayd.rows WHERE key = 'late'"), "0");
}

TEST_F(SealedBackup, ManyAtOnceMakeOneRing) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] { EXPECT_TRUE(init(sealed_backup(database_, 'k'))); });
  }
  for (std::thread& thread : threads) thread.join();
  PostgresClient one(sealed_backup(database_, 'k')), other(sealed_backup(database_, 'k'));
  one.write_one(put_row(live_row("b", 2, "v")));
  EXPECT_EQ(text_of(other.read_one("b")), "v");
}

TEST_F(SealedBackup, AnotherMasterKeyWrapsTheRingAnew) {
  ASSERT_TRUE(init(sealed_backup(database_, 'k')));
  PostgresClient before(sealed_backup(database_, 'k'));
  before.write_one(put_row(live_row("b", 2, "v")));
  ASSERT_TRUE(init(sealed_backup(database_, 'n', "k")));
  EXPECT_NE(refusal(sealed_backup(database_, 'k')), "");
  PostgresClient after(sealed_backup(database_, 'n'));
  EXPECT_EQ(text_of(after.read_one("b")), "v");
  after.write_one(put_row(live_row("b", 3, "w")));
  EXPECT_EQ(text_of(before.read_one("b")), "w") << "connected since before";
}

TEST_F(SealedBackup, ExchangedValuesDoNotOpen) {
  ASSERT_TRUE(init(sealed_backup(database_, 'k')));
  PostgresClient client(sealed_backup(database_, 'k'));
  client.write_one(put_row(live_row("b", 1, "mine")));
  client.write_one(put_row(live_row("c", 2, "yours")));
  sql("UPDATE stayd.rows a SET value = b.value FROM stayd.rows b WHERE a.key <> b.key");
  for (const char* key : {"b", "c"}) {
    const BackupRow row = client.read_one(key);
    EXPECT_NE(row.unreadable.find("does not open"), std::string::npos) << row.unreadable;
    EXPECT_EQ(text_of(row), "(no text)");
  }
}

// A stayd without a key took that for a beginning encryption, and connected again for ever.
TEST_F(SealedBackup, ALostRingIsSaid) {
  ASSERT_TRUE(init(sealed_backup(database_, 'k')));
  sql("DELETE FROM stayd.keys");
  EXPECT_NE(refusal(shared_server().options(database_)).find("stayd.keys is empty"),
            std::string::npos);
  EXPECT_NE(refusal(sealed_backup(database_, 'k')).find("stayd.keys is empty"), std::string::npos);
}

}  // namespace
}  // namespace stayd::test
