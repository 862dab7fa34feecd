// What the memory backup offers beyond Backup: faults, and the time they take. (The rest:
// behaviour_test.cc.)
#include "store/backup/memory/memory_backup.h"

#include <gtest/gtest.h>

#include "store/test_backups.h"

namespace stayd::test {
namespace {

class MemoryBackupTest : public ::testing::Test {
 protected:
  MemoryBackupTest() {
    backup_.set_events(&recorder_);
    backup_.start();
  }
  void put(BackupToken token, const char* key, Hlc hlc, std::int64_t deadline_us = 1000) {
    backup_.write({{put_row(live_row(key, hlc, key))}}, token, deadline_us);
  }
  void run(std::int64_t mono_us) { backup_.run({mono_us, 0}); }
  bool has(const char* key) const { return database_.rows().contains(key); }

  MemoryDatabase database_;
  MemoryBackup::Latency latency_{10, 20};
  MemoryBackup backup_{database_, [this] { return latency_; }};
  BackupRecorder recorder_;
};

TEST_F(MemoryBackupTest, TimePassesThereAndBack) {
  put(1, "a", 1);
  EXPECT_EQ(backup_.next_us(), 0);
  run(100);
  EXPECT_EQ(backup_.next_us(), 110);
  run(109);
  EXPECT_FALSE(has("a"));
  run(110);
  EXPECT_TRUE(has("a"));
  EXPECT_FALSE(recorder_.seen(1));
  EXPECT_EQ(backup_.next_us(), 130);
  run(130);
  EXPECT_TRUE(recorder_.seen(1));
  EXPECT_EQ(backup_.next_us(), std::nullopt);
}

TEST_F(MemoryBackupTest, WhatComesTooLateIsReportedAtTheDeadlineAndDoneAllTheSame) {
  latency_ = {2000, 0};
  put(1, "a", 1);
  run(0);
  run(1000);
  EXPECT_EQ(recorder_.errors[1].code, Errc::timed_out);
  EXPECT_FALSE(has("a"));
  run(2000);
  EXPECT_TRUE(has("a"));
  EXPECT_EQ(backup_.next_us(), std::nullopt);
}

TEST_F(MemoryBackupTest, AFrozenOneDoesItAfterwards) {
  database_.frozen = true;
  put(1, "a", 1, 100);
  run(0);
  run(100);
  EXPECT_EQ(recorder_.errors[1].code, Errc::timed_out);
  EXPECT_FALSE(has("a"));
  database_.frozen = false;
  run(101);
  EXPECT_TRUE(has("a"));
}

TEST_F(MemoryBackupTest, DownCutOffAndReadOnly) {
  latency_ = {};
  database_.down = true;
  put(1, "a", 1);
  run(1);
  EXPECT_EQ(recorder_.errors[1].code, Errc::unavailable);
  EXPECT_FALSE(backup_.status().up);
  database_.down = false;
  backup_.cut_off = true;
  put(2, "a", 1);
  run(2);
  EXPECT_EQ(recorder_.errors[2].code, Errc::unavailable);
  backup_.cut_off = false;
  database_.read_only = true;
  put(3, "a", 1);
  backup_.read({"a"}, 4, 1000);
  run(3);
  EXPECT_EQ(recorder_.errors[3].code, Errc::unavailable);
  EXPECT_EQ(recorder_.errors[4].message, "");
  EXPECT_TRUE(backup_.status().up);
  EXPECT_FALSE(backup_.status().writable);
  EXPECT_FALSE(has("a"));
}

TEST_F(MemoryBackupTest, AnOlderCopyIsAnotherEpoch) {
  latency_ = {};
  put(1, "a", 1);
  run(1);
  const MemoryDatabase::Copy copy = database_.copy();
  put(2, "b", 1);
  backup_.feed("", 10, 3, 1000);
  run(2);
  const std::string epoch = backup_.status().epoch;
  database_.restore(copy);
  backup_.feed(recorder_.fed[3].next, 10, 4, 1000);
  run(3);
  EXPECT_NE(backup_.status().epoch, epoch);
  EXPECT_EQ(recorder_.statuses.back().epoch, backup_.status().epoch);
  ASSERT_EQ(recorder_.fed[4].rows.size(), 1U);
  EXPECT_EQ(recorder_.fed[4].rows[0].key, "a");
}

TEST_F(MemoryBackupTest, PurgeTakesWhatNobodyNeedsAnyMore) {
  database_.write({{put_row(tomb_row("t", 1, 1000)), put_row(tomb_row("kept", 1, 0)),
                    put_row(live_row("old", 1, "v", 1000)), put_row(live_row("new", 1, "v", 0))}},
                  0);
  EXPECT_EQ(database_.purge(1001), 1U);
  EXPECT_EQ(database_.purge(3'601'001), 1U);
  EXPECT_EQ(database_.rows().size(), 2U);
  EXPECT_EQ(database_.feed("", 10, 0).rows.size(), 2U);
}

TEST_F(MemoryBackupTest, HostsAreShownForADayAndKeptForAWeek) {
  constexpr std::int64_t kDay = 24 * 3'600'000;
  database_.clock_offset_ms = 500;
  database_.write({.host = BackupHost{.instance = 1, .hlc = 1}}, 1000);
  EXPECT_EQ(database_.hosts().at(1).seen_ms, 1500);
  EXPECT_EQ(database_.feed("", 10, 1000).hosts->clock_ms, 1500);
  EXPECT_EQ(database_.feed("", 10, 999 + kDay).hosts->hosts.size(), 1U);
  EXPECT_EQ(database_.feed("", 10, 1000 + kDay).hosts->hosts.size(), 0U);
  database_.purge(1000 + 7 * kDay);
  EXPECT_EQ(database_.hosts().size(), 1U);
  database_.purge(1001 + 7 * kDay);
  EXPECT_TRUE(database_.hosts().empty());
}

}  // namespace
}  // namespace stayd::test
