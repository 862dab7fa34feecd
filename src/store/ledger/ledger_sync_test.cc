// Logouts wait for the disk, and nobody waits for them: a slow sync, a failed one, a stop
// meanwhile.
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <thread>

#include "store/ledger/test_ledger.h"

namespace stayd::test {
namespace {

// The log's syncs, which stop here until they are let through, and fail when told to.
class SyncGate {
 public:
  Result<void> pass() {
    std::unique_lock lock(mutex_);
    ++begun_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    if (failures_ == 0) return {};
    --failures_;
    return make_error(Errc::io, "injected");
  }
  void open(bool open) {
    const std::lock_guard lock(mutex_);
    open_ = open;
    changed_.notify_all();
  }
  void fail(int times) {
    const std::lock_guard lock(mutex_);
    failures_ = times;
  }
  void wait_for(int begun) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return begun_ >= begun; }));
  }
  int begun() {
    const std::lock_guard lock(mutex_);
    return begun_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int failures_ = 0;
  int begun_ = 0;
};

class LedgerSync : public ::testing::Test {
 protected:
  LedgerSync() {
    LedgerOptions options = TestLedger::options(folder_.sub("ledger"));
    options.before_sync = [this] { return gate_.pass(); };
    options.sync_interval_ms = 1'000'000;  // logouts only
    test_ = std::make_unique<TestLedger>(options);
    test_->apply(put(full_key(0, "before"), ++hlc_, "x"));
  }
  ~LedgerSync() override { gate_.open(true); }

  // Written, and its sync has begun and goes no further.
  void log_out_slowly(const char* name, StoreToken token) {
    gate_.open(false);
    const int begun = gate_.begun();
    log_out(name, token);
    ASSERT_NO_FATAL_FAILURE(gate_.wait_for(begun + 1));
  }
  void log_out(const char* name, StoreToken token) {
    test_->ledger->apply_one(tomb(full_key(0, name), ++hlc_, 9'000'000), token, Durability::synced);
    test_->ledger->submit();
  }
  std::string error_of(StoreToken token) { return test_->recorder.errors.at(token).message; }
  bool seen(StoreToken token) {
    test_->ledger->deliver();
    return test_->recorder.seen(token);
  }

  TempFolder folder_;
  SyncGate gate_;
  std::unique_ptr<TestLedger> test_;
  Hlc hlc_ = 0;
};

TEST_F(LedgerSync, ASlowSyncHoldsNobodyElseBack) {
  ASSERT_NO_FATAL_FAILURE(log_out_slowly("t", 1));
  EXPECT_EQ(test_->load(full_key(0, "t")).meta.state, RowState::tomb) << "seen before it is synced";
  EXPECT_EQ(test_->load(full_key(0, "before")).record, text_record("x"));
  EXPECT_EQ(test_->apply(put(full_key(0, "a"), ++hlc_, "x")).outcome, ApplyOutcome::applied);
  EXPECT_EQ(test_->last_error.message, "");
  EXPECT_FALSE(seen(1));
  EXPECT_EQ(test_->ledger->stats().queued, 1U);
  gate_.open(true);
  test_->until(1);
  EXPECT_EQ(error_of(1), "");
  EXPECT_EQ(test_->ledger->stats().queued, 0U);
}

TEST_F(LedgerSync, LogoutsShareTheNextSync) {
  ASSERT_NO_FATAL_FAILURE(log_out_slowly("t", 1));
  const int begun = gate_.begun();
  for (StoreToken token = 2; token < 50; ++token) {
    log_out(("t" + std::to_string(token)).c_str(), token);
    test_->load(full_key(0, "before"));
  }
  EXPECT_FALSE(seen(1));
  gate_.open(true);
  test_->until(49);
  EXPECT_EQ(gate_.begun(), begun + 1);
  StoreToken next = 1;
  for (const StoreToken token : test_->recorder.order) {
    if (token < 50) EXPECT_EQ(token, next++);
  }
}

// What was superseded by a row that is not on disk yet is no more durable than that row.
TEST_F(LedgerSync, ASupersededLogoutWaitsToo) {
  ASSERT_NO_FATAL_FAILURE(log_out_slowly("t", 1));
  --hlc_;
  log_out("t", 2);
  test_->load(full_key(0, "t"));
  EXPECT_FALSE(seen(2));
  gate_.open(true);
  test_->until(2);
  EXPECT_EQ(test_->recorder.applied[2].outcome, ApplyOutcome::superseded);
}

// The log's pages may be gone after a failed sync, and a second one would find nothing to do: the
// log is given up, its rows go to table files.
TEST_F(LedgerSync, AFailedSyncIsReportedToThoseWhoWaitedAndNothingIsBelievedAfterIt) {
  ASSERT_NO_FATAL_FAILURE(log_out_slowly("t", 1));
  log_out("u", 2);
  EXPECT_EQ(test_->load(full_key(0, "u")).meta.state, RowState::tomb);
  gate_.fail(1);
  gate_.open(true);
  test_->until(2);
  EXPECT_EQ(error_of(1), "injected");
  EXPECT_EQ(error_of(2), "injected");
  EXPECT_EQ(test_->ledger->stats().last_error, "injected");
  EXPECT_EQ(test_->load(full_key(0, "before")).record, text_record("x"));
  const auto logs = [&] {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.sub("ledger/db"))) {
      if (entry.path().extension() == ".log") names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  };
  const auto failed = logs();
  hlc_ -= 2;
  log_out("t", 3);  // as the engine does: the same version again
  test_->until(3);
  EXPECT_EQ(error_of(3), "");
  EXPECT_EQ(test_->recorder.applied[3].outcome, ApplyOutcome::superseded);
  EXPECT_NE(logs(), failed);
  EXPECT_EQ(test_->load(full_key(0, "u")).meta.state, RowState::tomb);
}

TEST_F(LedgerSync, AFlushEndsTheWaiting) {
  ASSERT_NO_FATAL_FAILURE(log_out_slowly("t", 1));
  log_out("u", 2);
  test_->ledger->flush(0, ++hlc_, nullptr, 3);  // syncs all there is
  test_->until(3);
  EXPECT_EQ(error_of(1), "");
  EXPECT_EQ(error_of(2), "");
  EXPECT_EQ(test_->load(full_key(0, "t")).meta.state, RowState::absent);
}

TEST_F(LedgerSync, AStopWaitsForTheDiskAndReports) {
  ASSERT_NO_FATAL_FAILURE(log_out_slowly("t", 1));
  log_out("u", 2);
  std::thread opener([this] { gate_.open(true); });
  test_->ledger->close();
  opener.join();
  EXPECT_TRUE(seen(1));
  EXPECT_TRUE(seen(2));
  EXPECT_EQ(error_of(1) + error_of(2), "");
  test_.reset();
  TestLedger again(TestLedger::options(folder_.sub("ledger")));
  EXPECT_EQ(again.load(full_key(0, "t")).meta.state, RowState::tomb);
  EXPECT_EQ(again.load(full_key(0, "u")).meta.state, RowState::tomb);
}

TEST_F(LedgerSync, AStopWithAFailingDiskReportsThat) {
  ASSERT_NO_FATAL_FAILURE(log_out_slowly("t", 1));
  gate_.fail(1);
  std::thread opener([this] { gate_.open(true); });
  test_->ledger->close();
  opener.join();
  EXPECT_TRUE(seen(1));
  EXPECT_EQ(error_of(1), "injected");
}

}  // namespace
}  // namespace stayd::test
