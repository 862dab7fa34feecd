// A backup whose rows go back in time, which its host table does not tell (B12).
#include "core/fleet_test_util.h"

namespace stayd::test {
namespace {

class FleetSampleTest : public testing::Test {
 protected:
  void pass(std::int64_t ms) {
    for (std::int64_t i = 0; i < ms; ++i) {
      now.mono_us += kMs;
      ++now.wall_ms;
      for (FleetHost* host : {&a, &c}) host->run();
    }
  }
  std::string there() const {
    const BackupRow row = database.read(key);
    return row.state == RowState::live ? std::get<std::string>(row.record.value) : "none";
  }
  // Sessions before and after the dump that the backup goes back to.
  MemoryDatabase fill() {
    pass(5);
    write("before", 300);
    pass(1500);
    const MemoryDatabase then = database;
    write("after", 300);
    a.put(key, "v2");
    pass(1500);
    EXPECT_EQ(there(), "v2");
    EXPECT_EQ(restores(), 0);
    return then;
  }
  void write(const std::string& name, int count) {
    for (int i = 0; i < count; ++i) {
      const FullKey one = full_key(0, name + std::to_string(i));
      a.put(one, name);
      keys.push_back(one);
    }
  }
  std::int64_t restores() const { return a.counters.backup_restores; }
  void expect_all_is_there() {
    for (const FullKey& one : keys) {
      ASSERT_EQ(database.read(one).state, RowState::live) << one;
    }
    EXPECT_EQ(there(), "v2");
    EXPECT_EQ(a.ledger.fact("backup_restored"), "");
  }

  Now now{1'000'000, kWallMs};
  MemoryDatabase database;
  FleetHost a{database, 3 * kOriginLives + 1, now};
  FleetHost c{database, 4 * kOriginLives + 1, now};
  const FullKey key = full_key(0, "sess:1");
  std::vector<FullKey> keys;
};

// The entry is there again before anybody has read the old one.
TEST_F(FleetSampleTest, RowsTellWhereTheEntryWasWrittenAgain) {
  const MemoryDatabase then = fill();
  c.backup.cut_off = true;  // it would do
  const BackupHost entry = database.hosts().at(3 * kOriginLives);
  database = then;
  database.write({.host = entry}, now.wall_ms);
  pass(4000);
  expect_all_is_there();
  EXPECT_EQ(restores(), 1);
}

// Writes go on, of which each is there.
TEST_F(FleetSampleTest, WhatIsWrittenAfterTheRestoreHidesNothing) {
  for (int at = 0; at < 1200; at += 97) {
    const MemoryDatabase then = fill();
    pass(at);
    database.load_rows(then);
    for (int i = 0; i < 2500; ++i) {
      a.put(full_key(0, "busy" + std::to_string(i % 7)), "x");
      pass(1);
    }
    pass(3000);
    expect_all_is_there();
    EXPECT_EQ(restores(), 1) << at;
    a.counters.backup_restores = 0;
    keys.clear();
  }
}

// What was written to the old rows since the hosts told went with them.
TEST_F(FleetSampleTest, RowsThatGoBackAfterTheHostsAreWrittenOnceMore) {
  for (const int later_ms : {1, 3, 6, 20, 300, 3000}) {
    const MemoryDatabase then = fill();
    for (int i = 0; i < 2000 && restores() == 0;
         ++i) {  // until it is read before it is written again
      database.load_hosts(then);
      pass(1);
    }
    for (int i = 0; i < later_ms; ++i) {
      write("between" + std::to_string(i) + "/", 1);
      pass(1);
    }
    database.load_rows(then);
    pass(6000);
    expect_all_is_there();
    // Rows that go at once are the same restore.
    if (later_ms >= 20) EXPECT_EQ(restores(), 2) << later_ms;
    a.counters.backup_restores = 0;
    keys.clear();
  }
}

TEST_F(FleetSampleTest, WhatADeadHostHasWrittenIsMissedToo) {
  pass(5);
  a.put(key, "v1");
  pass(1500);
  const MemoryDatabase then = database;
  c.put(key, "v2");
  pass(1500);
  ASSERT_EQ(a.text(key), "v2");
  c.backup.cut_off = true;
  database.load_rows(then);
  pass(4000);
  EXPECT_EQ(there(), "v2");
}

// Nothing was written between the dump and the last moment before it was restored.
TEST_F(FleetSampleTest, WhatWasWrittenJustBeforeTheRestoreIsMissed) {
  for (int at = 5; at < 1500; at += 31) {
    pass(5);
    const std::string name = "at" + std::to_string(at) + "/";
    write(name + "before", 3);
    pass(3000);
    const MemoryDatabase then = database;
    pass(5000 + at * 7 % 1000);
    write(name + "last", 1);
    pass(at);
    ASSERT_EQ(database.read(keys.back()).state, RowState::live) << at;
    const FullKey last = keys.back();
    database.load_rows(then);
    for (int i = 0; i < 30; ++i) {
      write(name + "later" + std::to_string(i), 1);
      pass(100);
    }
    pass(3000);
    EXPECT_EQ(database.read(last).state, RowState::live) << at << " ms before the restore";
  }
}

// Where the next one to be read stands is known to the next life, whose feed shows nothing.
TEST_F(FleetSampleTest, ItOutlivesARestart) {
  const MemoryDatabase then = fill();
  c.backup.cut_off = true;
  a.backup.cut_off = true;
  database.load_rows(then);
  MemoryBackup backup(database);
  FleetStore next(a.ledger, backup, FleetHost::of({}, 3 * kOriginLives + 2), a.clock, a.counters);
  next.set_judge(&a.judge);
  next.set_events(&a.recorder);
  next.start(now);
  for (int i = 0; i < 4000; ++i) {
    now.mono_us += kMs;
    ++now.wall_ms;
    next.set_now(now);
    backup.run(now);
    next.on_tick(now);
    a.ledger.deliver();
    next.submit();
    a.ledger.deliver();
  }
  expect_all_is_there();
  EXPECT_EQ(restores(), 1);
}

// Two hosts write the same rows, end them, let them expire; the backup is purged, slow, away,
// read-only; the clocks jump.
TEST_F(FleetSampleTest, NothingElseIsTakenForIt) {
  Random random(7);
  a.judge.verdict = c.judge.verdict = Verdict::ours;
  for (int i = 0; i < 100'000; ++i) {
    FleetHost& host = random.below(2) == 0 ? a : c;
    const FullKey one = full_key(0, "k" + std::to_string(random.below(5)));
    const auto what = random.below(2000);
    if (what < 20) host.put(one, "v" + std::to_string(i), true, now.wall_ms + 60'000);
    if (what == 20) host.tomb(one);
    if (what == 21) host.expire(one, now.wall_ms + 5000);
    if (what == 22) host.latency_us = static_cast<std::int64_t>(random.below(2'500'000));
    if (what == 23) host.latency_us = 500;
    if (what == 24) host.backup.cut_off = random.below(4) == 0;
    if (what == 25) database.read_only = random.below(4) == 0;
    if (what == 26) database.frozen = random.below(4) == 0;
    if (what == 27) now.wall_ms += 2'000'000;  // 33 min, purged in time
    if (what == 28 && random.below(3) == 0) now.wall_ms -= 1'900'000;
    if (what == 29) database.purge(now.wall_ms);
    pass(1);
  }
  EXPECT_EQ(a.counters.backup_restores + c.counters.backup_restores, 0);
  EXPECT_GT(a.fleet.status().rows_taken, 20);
}

// The database removes what has expired, while nothing new is written.
TEST_F(FleetSampleTest, AQuietBackupIsPurged) {
  pass(5);
  a.put(key, "v1", true, now.wall_ms + 1000);
  pass(3000);
  for (int i = 0; i < 30; ++i) {
    now.wall_ms += 150'000;
    database.purge(now.wall_ms);
    pass(1500);
  }
  EXPECT_EQ(there(), "none");
  EXPECT_EQ(restores(), 0);
}

}  // namespace
}  // namespace stayd::test
