// A disk that fails or is full: operations are refused one by one, logouts still fit, reads go on,
// and the ledger comes back by itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "store/ledger/test_disk.h"
#include "store/ledger/test_ledger.h"

namespace stayd::test {
namespace {

class LedgerDisk : public ::testing::Test {
 protected:
  LedgerDisk() {
    LedgerOptions options = TestLedger::options(folder_.sub("ledger"));
    options.env = env_.get();
    options.ballast_bytes = 100'000;
    state_.ballast = options.path + "/ballast";
    test_ = std::make_unique<TestLedger>(options);
    test_->apply(put(full_key(0, "before"), ++hlc_, "x"));
  }
  std::string put_error(const char* name) {
    test_->apply(put(full_key(0, name), ++hlc_, "x"));
    return test_->last_error.message;
  }
  // Tries until it succeeds; recovery is paced at once per second.
  bool put_until_fine(const char* name) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < limit) {
      if (put_error(name).empty()) return true;
      std::this_thread::yield();
    }
    return false;
  }

  TempFolder folder_;
  DiskState state_;
  std::unique_ptr<rocksdb::Env> env_ = faulty_env(state_);
  std::unique_ptr<TestLedger> test_;
  Hlc hlc_ = 0;
};

TEST_F(LedgerDisk, ErrorsAreReportedReadsGoOnAndWritesComeBack) {
  state_.disk = Disk::failing;
  EXPECT_NE(put_error("a").find("injected"), std::string::npos);
  EXPECT_EQ(test_->last_error.code, Errc::io);
  EXPECT_NE(put_error("b"), "");
  test_->ledger->put_fact("kept", "1");
  EXPECT_EQ(test_->load(full_key(0, "before")).record, text_record("x"));
  EXPECT_EQ(test_->last_error.message, "");
  const StoreStats stats = test_->ledger->stats();
  EXPECT_NE(stats.last_error, "");
  EXPECT_EQ(stats.last_error_at_ms, 1'000'000);
  state_.disk = Disk::fine;
  EXPECT_TRUE(put_until_fine("c"));
  EXPECT_EQ(test_->load(full_key(0, "c")).record, text_record("x"));
  EXPECT_EQ(test_->load(full_key(0, "before")).record, text_record("x"));
  test_.reset();
  TestLedger again(TestLedger::options(folder_.sub("ledger")));
  EXPECT_EQ(again.load(full_key(0, "c")).record, text_record("x"));
  EXPECT_EQ(again.ledger->fact("kept"), "1") << "a fact waits for the disk";
}

TEST_F(LedgerDisk, AFullDiskTakesLogoutsOnly) {
  while (!std::filesystem::exists(state_.ballast)) std::this_thread::yield();
  state_.disk = Disk::full_unless_ballast_gone;
  Store& store = *test_->ledger;
  store.apply_one(put(full_key(0, "a"), ++hlc_, "x"), 1, Durability::written);
  store.apply_one(tomb(full_key(0, "before"), ++hlc_, 9'000'000), 2, Durability::synced);
  store.apply_one(put(full_key(0, "b"), ++hlc_, "x"), 3, Durability::written);
  test_->until(3);
  test_->until(2);
  EXPECT_EQ(test_->recorder.errors[1].code, Errc::no_space);
  EXPECT_EQ(test_->recorder.errors[2].message, "");
  EXPECT_EQ(test_->recorder.errors[3].code, Errc::no_space);
  EXPECT_EQ(test_->recorder.applied[2].before.state, RowState::live);
  EXPECT_EQ(test_->load(full_key(0, "before")).meta.state, RowState::tomb);
  state_.disk = Disk::fine;
  EXPECT_TRUE(put_until_fine("c"));
  EXPECT_TRUE(std::filesystem::exists(state_.ballast)) << "the ballast is put back";
  test_.reset();
  TestLedger again(TestLedger::options(folder_.sub("ledger")));
  EXPECT_EQ(again.load(full_key(0, "before")).meta.state, RowState::tomb);
  EXPECT_EQ(again.load(full_key(0, "a")).meta.state, RowState::absent);
}

// A fact alone, written just before, met the full disk: it used to leave the ledger waiting.
TEST_F(LedgerDisk, AFullDiskThatAFactMeetsTakesLogouts) {
  while (!std::filesystem::exists(state_.ballast)) std::this_thread::yield();
  state_.disk = Disk::full_unless_ballast_gone;
  test_->ledger->put_fact("name", "1");
  test_->load(full_key(0, "before"));
  EXPECT_NE(test_->ledger->stats().last_error, "");
  test_->apply(tomb(full_key(0, "before"), ++hlc_, 9'000'000), Durability::synced);
  EXPECT_EQ(test_->last_error.message, "");
  EXPECT_EQ(test_->load(full_key(0, "before")).meta.state, RowState::tomb);
  test_.reset();
  TestLedger again(TestLedger::options(folder_.sub("ledger")));
  EXPECT_EQ(again.ledger->fact("name"), "1");
}

TEST_F(LedgerDisk, AFullDiskThatAFlushMeetsTakesLogouts) {
  while (!std::filesystem::exists(state_.ballast)) std::this_thread::yield();
  state_.disk = Disk::full_unless_ballast_gone;
  test_->ledger->flush(3, ++hlc_, nullptr, 1);
  test_->until(1);
  EXPECT_EQ(test_->recorder.errors[1].code, Errc::no_space);
  test_->apply(tomb(full_key(0, "before"), ++hlc_, 9'000'000), Durability::synced);
  EXPECT_EQ(test_->last_error.message, "");
}

// A full disk has no place for table files, for as long as it is full: what the logs hold is read
// from memory, logouts go on until that is full too, and none that was acknowledged is lost.
class LedgerWithoutTables : public LedgerDisk {
 protected:
  static FullKey key(int n) { return full_key(0, "sess:" + std::to_string(n)); }
  void open() {
    LedgerOptions options = TestLedger::options(folder_.sub("small"));
    options.env = env_.get();
    options.write_buffer_bytes = std::size_t{256} << 10;
    test_ = std::make_unique<TestLedger>(options);
  }
  int until_refused(const std::function<Mutation(int)>& mutation) {
    int done = 0;
    for (; done < 10'000; ++done) {
      test_->apply(mutation(done), Durability::synced);
      if (!test_->last_error.message.empty()) break;
    }
    EXPECT_EQ(test_->last_error.code, Errc::no_space);
    return done;
  }
  void expect_rows(int logouts, int rows) {
    for (int n = 0; n < std::max(logouts, rows); ++n) {
      const RowState state = test_->load(key(n)).meta.state;
      ASSERT_EQ(test_->last_error.message, "");
      ASSERT_EQ(state, n < logouts ? RowState::tomb : RowState::live) << n;
    }
  }
};

TEST_F(LedgerWithoutTables, WhatTheLogsHoldStaysInMemory) {
  open();
  state_.disk = Disk::no_tables;
  const std::string value(1'000, 'x');
  const int rows = until_refused([&](int n) { return put(key(n), ++hlc_, value); });
  EXPECT_GT(rows, 50);
  const int logouts = until_refused([&](int n) { return tomb(key(n), ++hlc_, 9'000'000); });
  EXPECT_NE(test_->last_error.message.find("memory for logouts"), std::string::npos);
  EXPECT_GT(logouts, 100);
  test_->ledger->put_fact("kept", "1");
  expect_rows(logouts, rows);
  test_.reset();
  open();  // a start on the full disk
  expect_rows(logouts, rows);
  state_.disk = Disk::fine;
  EXPECT_TRUE(put_until_fine("after"));
  expect_rows(logouts, rows);
  test_.reset();
  open();
  expect_rows(logouts, rows);
}

}  // namespace
}  // namespace stayd::test
