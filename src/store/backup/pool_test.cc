// What the pool does when all its connections have something to say at the same moment. With a real
// database that moment is rare; these links share one descriptor.
#include "store/backup/pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <utility>

#include "base/event_fd.h"
#include "base/real_time.h"
#include "store/test_support.h"

namespace stayd::test {
namespace {

struct Database {
  EventFd answers;                   // once readable, whatever was begun has its answer
  TestWaker begun;                   // an operation
  std::atomic<bool> moved = false;   // it is another one now
  std::atomic<int> old_answers = 0;  // that were asked for of operations on the one of before
};

class FakeLink final : public BackupLink {
 public:
  FakeLink(Database& database, const char* epoch)
      : BackupLink({.epoch = epoch, .writable = true}),
        database_(database),
        old_(!database.moved) {}
  int fd() const override { return database_.answers.fd(); }
  bool wants_to_write() const override { return false; }
  bool idle() const override { return !busy_; }
  Result<bool> start(const BackupOperation&) override {
    working_ = busy_ = true;
    database_.begun.wake();
    return true;
  }
  bool start_look() override {
    busy_ = true;
    return true;
  }
  State advance() override {
    if (working_ && old_) ++database_.old_answers;
    working_ = busy_ = false;
    return State::done;
  }
  std::optional<SqlError> error() const override { return std::nullopt; }
  Error lost_error() const override { return make_error(Errc::io, "lost"); }
  Result<BackupResult> result() override { return BackupResult(std::vector<BackupRow>()); }
  Result<BackupSession> looked() override {
    database_.moved = true;
    return BackupSession{.epoch = "new", .writable = true};
  }

 private:
  Database& database_;
  const bool old_;
  bool working_ = false, busy_ = false;
};

class FakeDriver final : public BackupDriver {
 public:
  explicit FakeDriver(Database& database) : database_(database) {}
  Result<std::unique_ptr<BackupLink>> open(int) override {
    return std::unique_ptr<BackupLink>(
        std::make_unique<FakeLink>(database_, database_.moved ? "new" : "old"));
  }
  bool has_hints() const override { return false; }
  int parallel_writes() const override { return kMaxBackupConnections; }

 private:
  Database& database_;
};

TEST(Pool, ALookThatGivesUpTheOthersIsTheLastTheyHearOfThisTurn) {
  Database database;
  TestWaker waker;
  BackupOptions options;
  options.connections = 2;
  options.now = real_now;
  Pool pool(std::make_unique<FakeDriver>(database), options, waker);
  BackupOperation read{.request = ReadRequest{}, .token = 7};
  // tidy: allow(clock) because the pool has a thread
  read.deadline_us = real_now().mono_us + 20'000'000;
  ASSERT_FALSE(pool.post(read));
  database.begun.wait();   // by the second: the first one looks, and is there for logouts
  database.answers.set();  // of the look, which finds another database, and of the read
  std::vector<BackupReport> reports;
  while (reports.empty()) {
    waker.wait();
    reports = pool.take().reports;
  }
  pool.stop();
  EXPECT_EQ(reports[0].token, 7U);
  EXPECT_EQ(reports[0].error.message, "backup: the data is another one's");
  EXPECT_EQ(database.old_answers, 0);
}

}  // namespace
}  // namespace stayd::test
