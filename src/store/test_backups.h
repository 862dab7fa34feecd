// The shared backups that backup/behaviour_test.cc is about, each with what it needs, and a
// recorder of their reports. Tests only.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "store/backup/memory/memory_backup.h"
#include "store/dynamodb/test_server.h"
#include "store/mysql/test_server.h"
#include "store/postgres/test_server.h"

namespace stayd::test {

class BackupRecorder : public BackupEvents {
 public:
  void on_written(BackupToken token, const Error& error,
                  std::vector<BackupWritten> results) override {
    add(token, error);
    written[token] = std::move(results);
  }
  void on_read(BackupToken token, const Error& error, std::vector<BackupRow> rows) override {
    add(token, error);
    read[token] = std::move(rows);
  }
  void on_feed(BackupToken token, const Error& error, FeedPage page) override {
    add(token, error);
    fed[token] = std::move(page);
  }
  void on_hint() override { ++hints; }
  void on_status(const BackupStatus& status) override { statuses.push_back(status); }
  bool seen(BackupToken token) const { return errors.contains(token); }

  std::vector<BackupToken> order;
  std::map<BackupToken, Error> errors;
  std::map<BackupToken, std::vector<BackupWritten>> written;
  std::map<BackupToken, std::vector<BackupRow>> read;
  std::map<BackupToken, FeedPage> fed;
  std::vector<BackupStatus> statuses;
  int hints = 0;

 private:
  void add(BackupToken token, const Error& error) {
    order.push_back(token);
    EXPECT_TRUE(errors.emplace(token, error).second) << "token " << token << " reported twice";
  }
};

inline BackupRow live_row(FullKey key, Hlc hlc, std::string text, std::int64_t expires_at_ms = 0) {
  BackupRow row;
  row.key = std::move(key);
  row.state = RowState::live;
  row.hlc = hlc;
  row.record.value = std::move(text);
  row.record.expires_at_ms = expires_at_ms;
  row.origin = 1;
  return row;
}

inline BackupRow tomb_row(FullKey key, Hlc hlc, std::int64_t tomb_until_ms = 0) {
  BackupRow row;
  row.key = std::move(key);
  row.state = RowState::tomb;
  row.hlc = hlc;
  row.tomb_until_ms = tomb_until_ms;
  row.origin = 1;
  return row;
}

inline BackupWrite put_row(BackupRow row, std::optional<Version> expected = std::nullopt) {
  return {BackupWrite::Kind::put, std::move(row), expected};
}

inline std::string text_of(const BackupRow& row) {
  const auto* text = std::get_if<std::string>(&row.record.value);
  return text == nullptr ? "(no text)" : *text;
}

// One stayd's view of a backup that others may use too.
class BackupClient {
 public:
  virtual ~BackupClient() = default;
  virtual Backup& backup() = 0;
  // Reports what has ended; may wait for more.
  virtual void settle() = 0;
  virtual std::int64_t mono_us() const = 0;

  std::vector<BackupWritten> write(std::vector<BackupWrite> writes) {
    return write_batch({.writes = std::move(writes)});
  }
  std::vector<BackupWritten> write_batch(BackupBatch batch) {
    const BackupToken token = next_++;
    backup().write(std::move(batch), token, deadline_us());
    until(token);
    return recorder.written[token];
  }
  BackupWritten write_one(BackupWrite write) {
    std::vector<BackupWritten> out = this->write({std::move(write)});
    EXPECT_EQ(out.size(), 1U) << last_error.message;
    return out.empty() ? BackupWritten{} : std::move(out[0]);
  }
  std::vector<BackupRow> read(std::vector<FullKey> keys) {
    const BackupToken token = next_++;
    backup().read(std::move(keys), token, deadline_us());
    until(token);
    return recorder.read[token];
  }
  BackupRow read_one(FullKey key) {
    std::vector<BackupRow> out = read({std::move(key)});
    EXPECT_EQ(out.size(), 1U) << last_error.message;
    return out.empty() ? BackupRow{} : std::move(out[0]);
  }
  FeedPage feed(FeedCursor after, std::size_t limit = 1000) {
    const BackupToken token = next_++;
    backup().feed(std::move(after), limit, token, deadline_us());
    until(token);
    return recorder.fed[token];
  }
  // Everything after `after`, which moves on.
  std::vector<BackupRow> feed_all(FeedCursor& after, std::size_t limit = 1000) {
    std::vector<BackupRow> out;
    for (bool more = true; more && !::testing::Test::HasFailure();) {
      FeedPage page = feed(after, limit);
      EXPECT_EQ(last_error.message, "");
      EXPECT_LE(page.rows.size(), limit);
      out.insert(out.end(), page.rows.begin(), page.rows.end());
      after = page.next;
      EXPECT_LE(after.size(), 4096U);
      complete_to = page.complete_to;
      if (page.hosts) hosts = page.hosts;
      more = page.more;
    }
    return out;
  }
  void until(BackupToken token) {
    while (!recorder.seen(token) && !::testing::Test::HasFatalFailure()) settle();
    last_error = recorder.errors[token];
  }
  template <class Condition>
  void until_true(const Condition& condition) {
    for (int turns = 0; !condition(); ++turns) {
      ASSERT_LT(turns, 100'000);
      settle();
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
  std::int64_t deadline_us() const { return mono_us() + deadline_ms * 1000; }

  BackupRecorder recorder;
  Error last_error;
  std::uint64_t complete_to = 0;
  std::optional<BackupHosts> hosts;  // of the last page that had them
  std::int64_t deadline_ms = 20'000;

 protected:
  BackupToken next_ = 1;
};

// What is shared; gives clients.
class BackupSubject {
 public:
  static constexpr std::size_t kLargeValue = 16 << 20;  // it takes one
  virtual ~BackupSubject() = default;
  virtual std::unique_ptr<BackupClient> connect() = 0;
};

class MemoryBackupSubject : public BackupSubject {
 public:
  static constexpr const char* kName = "memory";
  static constexpr bool kHints = true;
  std::unique_ptr<BackupClient> connect() override { return std::make_unique<Client>(database); }
  MemoryDatabase database;

 private:
  class Client : public BackupClient {
   public:
    explicit Client(MemoryDatabase& database) : backup_(database) {
      backup_.set_events(&recorder);
      backup_.start();
    }
    Backup& backup() override { return backup_; }
    // tidy: allow(clock) because hosts are seen by the time of day
    void settle() override { backup_.run({++now_us_, real_now().wall_ms}); }
    std::int64_t mono_us() const override { return now_us_; }

   private:
    MemoryBackup backup_;
    std::int64_t now_us_ = 0;
  };
};

// Of a database, by its own thread.
class DatabaseClient : public BackupClient {
 public:
  explicit DatabaseClient(BackupOptions options)
      : backup_(open_backup(std::move(options), waker_)) {
    backup_->set_events(&recorder);
    backup_->start();
  }
  Backup& backup() override { return *backup_; }
  void settle() override {
    waker_.wait();
    backup_->deliver();
  }
  BackupStatus status() {
    backup_->deliver();
    return backup_->status();
  }
  // tidy: allow(clock) because the tests wait for a server
  std::int64_t mono_us() const override { return real_now().mono_us; }

 private:
  TestWaker waker_;
  const std::unique_ptr<PooledBackup> backup_;
};

// Values are sealed under a master key made of `byte`; the ones made of `older` open as well.
inline BackupOptions sealed_options(BackupOptions out, char byte, const std::string& older = "") {
  MasterKeys keys;
  for (const char one : byte + older) keys.emplace_back(std::string(SecretKey::kBytes, one));
  out.master_keys = [keys] { return keys; };
  return out;
}

class DatabaseSubject : public BackupSubject {
 public:
  std::unique_ptr<BackupClient> connect() override {
    return std::make_unique<DatabaseClient>(options_);
  }

 protected:
  DatabaseSubject(BackupOptions options, bool sealed) : options_(std::move(options)) {
    if (!sealed) return;
    options_ = sealed_options(options_, 'k');
    EXPECT_TRUE(init_backup(options_));
  }

 private:
  BackupOptions options_;
};

inline BackupOptions options_on(DatabaseServer& server) {
  return server.options(server.make_database());
}
inline BackupOptions options_on(DynamodbServer& server) {
  return server.options(server.make_table());
}

class PostgresSubject : public DatabaseSubject {
 public:
  static constexpr const char* kName = "postgres";
  static constexpr bool kHints = true;
  PostgresSubject() : DatabaseSubject(options_on(shared_postgres()), false) {}
};
class SealedPostgresSubject : public DatabaseSubject {
 public:
  static constexpr const char* kName = "sealed_postgres";
  static constexpr bool kHints = true;
  SealedPostgresSubject() : DatabaseSubject(options_on(shared_postgres()), true) {}
};
class MariadbSubject : public DatabaseSubject {
 public:
  static constexpr const char* kName = "mariadb";
  static constexpr bool kHints = false;
  MariadbSubject() : DatabaseSubject(options_on(shared_mariadb()), false) {}
};
class SealedMariadbSubject : public DatabaseSubject {
 public:
  static constexpr const char* kName = "sealed_mariadb";
  static constexpr bool kHints = false;
  SealedMariadbSubject() : DatabaseSubject(options_on(shared_mariadb()), true) {}
};

class DynamodbSubject : public DatabaseSubject {
 public:
  static constexpr const char* kName = "dynamodb";
  static constexpr bool kHints = false;
  static constexpr std::size_t kLargeValue = 390 << 10;
  DynamodbSubject() : DatabaseSubject(options_on(shared_dynamodb()), false) {}
};
class SealedDynamodbSubject : public DatabaseSubject {
 public:
  static constexpr const char* kName = "sealed_dynamodb";
  static constexpr bool kHints = false;
  static constexpr std::size_t kLargeValue = 390 << 10;
  SealedDynamodbSubject() : DatabaseSubject(options_on(shared_dynamodb()), true) {}
};

using BackupSubjects =
    ::testing::Types<MemoryBackupSubject, PostgresSubject, SealedPostgresSubject, MariadbSubject,
                     SealedMariadbSubject, DynamodbSubject, SealedDynamodbSubject>;

}  // namespace stayd::test
