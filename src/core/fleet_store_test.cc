// What one stayd writes, reads and decides, and what comes of it at the other.
#include "core/fleet_test_util.h"

namespace stayd::test {
namespace {

BackupRow foreign_row(const std::string& name, std::int64_t wall_ms, std::uint32_t incarnation) {
  BackupRow row;
  row.key = full_key(0, name);
  row.incarnation = incarnation;
  row.state = RowState::live;
  row.hlc = static_cast<Hlc>(wall_ms) << 16;
  row.origin = 99;
  row.record.value = std::string("there");
  return row;
}

Mutation tomb_of(const FullKey& key) {
  Mutation out;
  out.kind = Mutation::Kind::tomb;
  out.key = key;
  return out;
}

TEST_F(FleetTest, AValueGetsToTheOtherLedger) {
  pass(5);
  a.put(key, "v1");
  pass(400);
  EXPECT_EQ(there(), "v1");
  EXPECT_EQ(c.text(key), "v1");
  EXPECT_EQ(a.row(key).meta.unshipped, Unshipped::nothing);
  EXPECT_EQ(c.row(key).meta.version(), a.row(key).meta.version());
  EXPECT_TRUE(c.judge.foreign.contains(key));
  EXPECT_EQ(a.fleet.status().unshipped, 0u);
}

TEST_F(FleetTest, ALoginIsToldWhenTheBackupHasIt) {
  pass(5);
  const StoreToken told = a.put(key, "v1");
  a.run();
  EXPECT_FALSE(a.recorder.seen(told));
  pass(5);
  EXPECT_TRUE(a.recorder.seen(told));
  EXPECT_EQ(there(), "v1");
  const StoreToken update = a.put(key, "v2");
  a.run();
  EXPECT_TRUE(a.recorder.seen(update)) << "only what is new waits";
}

// The ledger has not heard of the logout before it: Redis, which had nothing, has told (B2).
TEST_F(FleetTest, ALoginIsOneWhateverTheLedgerSays) {
  pass(5);
  a.put(key, "v1");
  pass(5);
  Mutation create;
  create.key = key;
  create.record.value = "v2";
  create.from_client = create.creates = true;
  const StoreToken told = a.change(std::move(create), Durability::written);
  a.run();
  EXPECT_FALSE(a.recorder.seen(told));
  pass(5);
  EXPECT_TRUE(a.recorder.seen(told));
  EXPECT_EQ(there(), "v2");
}

TEST_F(FleetTest, ASlowBackupHoldsALoginForAQuarterOfASecond) {
  pass(5);
  database.frozen = true;
  const StoreToken told = a.put(key, "v1");
  pass(200);
  EXPECT_FALSE(a.recorder.seen(told));
  pass(60);
  EXPECT_TRUE(a.recorder.seen(told));
  database.frozen = false;
  pass(3000);
  EXPECT_EQ(there(), "v1");
  EXPECT_EQ(c.text(key), "v1");
}

TEST_F(FleetTest, WithoutTheBackupNobodyWaitsAndAllIsShippedLater) {
  pass(5);
  database.down = true;
  pass(5);
  const StoreToken login = a.put(key, "v1");
  const StoreToken logout = a.tomb(full_key(0, "sess:2"));
  a.run();
  EXPECT_TRUE(a.recorder.seen(login));
  EXPECT_TRUE(a.recorder.seen(logout));
  pass(100);
  database.down = false;
  pass(700);
  EXPECT_EQ(c.text(key), "v1");
  EXPECT_EQ(c.row(full_key(0, "sess:2")).meta.state, RowState::tomb);
}

TEST_F(FleetTest, ALogoutIsInTheBackupBeforeItIsTold) {
  pass(5);
  a.put(key, "v1");
  pass(400);
  const StoreToken told = c.tomb(key);  // at the other one
  for (int i = 0; i < 1000 && !c.recorder.seen(told); ++i) {
    EXPECT_NE(there(), "tomb");
    pass(1);
  }
  ASSERT_TRUE(c.recorder.seen(told));
  EXPECT_EQ(there(), "tomb");
  pass(300);
  EXPECT_EQ(a.row(key).meta.state, RowState::tomb);
}

// The session was opened elsewhere a moment ago: this ledger has never heard of it.
TEST_F(FleetTest, ALogoutOfWhatTheLedgerDoesNotKnowEndsIt) {
  pass(5);
  for (int i = 0; i < 3; ++i) {  // it has lived before
    a.put(key, "v1");
    pass(30);
    if (i < 2) a.tomb(key);
    pass(30);
  }
  FleetHost late(database, 33, now);
  late.run();  // connected, and has not read the feed yet
  late.run();
  const StoreToken told = late.tomb(key);
  for (int i = 0; i < 50; ++i) {
    now.mono_us += kMs;
    late.run();
  }
  EXPECT_TRUE(late.recorder.seen(told));
  EXPECT_EQ(there(), "tomb");
}

// It was opened after the logout, by a clock that is behind or not: the logout has not seen it.
TEST_F(FleetTest, ALogoutThatHasSeenNothingBuriesOnlyWhatIsOlder) {
  pass(5);
  database.write({{{.row = foreign_row("young", kWallMs + 60'000, 3)},
                   {.row = foreign_row("old", kWallMs - 60'000, 3)}}},
                 now.wall_ms);
  FleetHost late(database, 33, now);
  late.latency_us = 5000;
  late.run();  // connected, and has not read the feed yet
  late.run();
  late.change(tomb_of(full_key(0, "young")), Durability::written);
  late.tomb(full_key(0, "old"));
  for (int i = 0; i < 300; ++i) {
    if (i == 2) late.put(full_key(0, "old"), "again");  // while that is on its way
    now.mono_us += kMs;
    late.run();
  }
  EXPECT_EQ(database.read(full_key(0, "young")).state, RowState::live);
  EXPECT_EQ(late.text(full_key(0, "young")), "there");
  const BackupRow again = database.read(full_key(0, "old"));
  EXPECT_EQ(std::get<std::string>(again.record.value), "again");
  EXPECT_EQ(again.incarnation, 4u);
  EXPECT_EQ(late.row(full_key(0, "old")).meta.incarnation, 4u);
}

// Purged an hour after its end; the ledger has kept it, and it is put off at last.
TEST_F(FleetTest, WhatTheBackupHasPurgedIsShippedAnew) {
  pass(5);
  a.put(key, "v1", true, kWallMs + 10'000);
  pass(400);
  for (const bool touch : {false, true}) {
    EXPECT_EQ(database.purge(kWallMs + 100'000'000), 1u);
    touch ? a.expire(key, kWallMs + 20'000) : a.put(key, "v2", true, kWallMs + 10'000);
    pass(3000);
    EXPECT_EQ(there(), "v2") << touch;
    EXPECT_EQ(a.row(key).meta.base, database.read(key).version());
    EXPECT_EQ(a.fleet.status().unshipped, 0u);
  }
}

TEST_F(FleetTest, WhatAKilledProcessHasNotShippedTheNextOneDoes) {
  pass(5);
  database.down = true;
  pass(5);
  a.put(key, "v1");
  pass(2000);
  database.down = false;
  MemoryStore& ledger = a.ledger;
  HlcClock clock;
  Counters counters;
  MemoryBackup backup(database);
  FleetStore next(ledger, backup, {.origin = 12}, clock, counters);
  Recorder recorder;
  next.set_events(&recorder);
  next.set_judge(&a.judge);
  next.start(now);
  for (int i = 0; i < 50; ++i) {
    now.mono_us += 10 * kMs;
    next.set_now(now);
    backup.run(now);
    next.on_tick(now);
    ledger.deliver();
  }
  EXPECT_EQ(there(), "v1");
}

TEST_F(FleetTest, MoreThanItRemembersIsFoundInTheLedger) {
  FleetHost small(database, 44, now, {.max_unshipped = 300});
  small.run();
  small.run();
  database.down = true;
  for (int i = 0; i < 1000; ++i) {
    small.put(full_key(0, "sess:" + std::to_string(i)), "v");
    small.run();
  }
  EXPECT_LE(small.fleet.status().unshipped, 300u);
  EXPECT_LT(small.fleet.status().shipped_to, small.row(full_key(0, "sess:300")).meta.hlc);
  database.down = false;
  for (int i = 0; i < 5000; ++i) {
    now.mono_us += kMs;
    small.run();
  }
  EXPECT_EQ(database.rows().size(), 1000u);
  EXPECT_EQ(small.fleet.status().unshipped, 0u);
}

// --- another one was there first

TEST_F(FleetTest, TwoThatWriteTheSameKeyAreJudged) {
  pass(5);
  a.put(key, "v1");
  pass(400);
  a.put(key, "a2");
  c.put(key, "c2");
  c.judge.verdict = a.judge.verdict = Verdict::theirs;
  pass(800);
  EXPECT_EQ(a.judge.asked.size() + c.judge.asked.size(), 1u);
  EXPECT_EQ(a.text(key), c.text(key));
  EXPECT_EQ(a.text(key), there());
}

TEST_F(FleetTest, OursGoesOnTopOfTheirs) {
  pass(5);
  a.put(key, "v1");
  pass(400);
  a.put(key, "a2");
  pass(1);
  c.put(key, "c2");
  c.judge.verdict = a.judge.verdict = Verdict::ours;
  pass(800);
  EXPECT_EQ(there(), "c2");
  EXPECT_EQ(a.text(key), "c2");
  EXPECT_EQ(c.row(key).meta.unshipped, Unshipped::nothing);
}

// Redis has shown that the save came after the logout: a new session under the id.
TEST_F(FleetTest, OnATombstoneOursIsANewSession) {
  pass(5);
  a.put(key, "v1");
  pass(400);
  const std::uint32_t before = a.row(key).meta.incarnation;
  a.tomb(key);
  pass(5);
  c.put(key, "c2");
  c.judge.verdict = Verdict::ours;
  pass(800);
  EXPECT_EQ(there(), "c2");
  EXPECT_EQ(a.text(key), "c2");
  EXPECT_EQ(a.row(key).meta.incarnation, before + 1);
  EXPECT_EQ(c.row(key).meta.incarnation, before + 1);
}

TEST_F(FleetTest, AVerdictMayTakeItsTime) {
  pass(5);
  a.put(key, "v1");
  pass(400);
  a.tomb(key);
  pass(3);
  c.put(key, "c2");
  c.judge.verdict = Verdict::wait;
  pass(300);
  EXPECT_GT(c.judge.asked.size(), 3u);
  EXPECT_EQ(c.text(key), "c2");
  c.judge.verdict = Verdict::theirs;
  pass(50);
  EXPECT_EQ(c.row(key).meta.state, RowState::tomb);
}

TEST_F(FleetTest, WhatIsReadBackFromRedisIsShippedOnTop) {
  pass(5);
  a.put(key, "v1");
  pass(400);
  a.put(key, "a2");
  pass(1);
  c.put(key, "c2");
  c.judge.verdict = Verdict::read_back;
  pass(200);
  ASSERT_FALSE(c.judge.asked.empty());
  c.put(key, "what Redis says", false);
  pass(800);
  EXPECT_EQ(there(), "what Redis says");
  EXPECT_EQ(a.text(key), "what Redis says");
}

// --- expiry

// What this host's loss would take away is no more than the wait.
TEST_F(FleetTest, AnExpiryThatIsPutOffFarIsShippedAtOnce) {
  pass(5);
  a.put(key, "v1", true, kWallMs + 3'600'000);
  pass(200);
  a.expire(key, kWallMs + 7'200'000);
  pass(200);
  EXPECT_EQ(database.read(key).record.expires_at_ms, kWallMs + 7'200'000);
  a.expire(key, kWallMs + 7'200'500);
  pass(200);
  EXPECT_EQ(database.read(key).record.expires_at_ms, kWallMs + 7'200'000) << "by little";
}

TEST_F(FleetTest, ATouchWaitsAndNeverConflicts) {
  pass(5);
  a.put(key, "v1");
  pass(20);
  a.expire(key, kWallMs + 80'000);
  pass(400);
  const Hlc before = database.read(key).hlc;
  c.put(key, "c2", true, kWallMs + 85'000);
  pass(1);
  a.expire(key, kWallMs + 90'000);
  pass(1000);
  EXPECT_EQ(there(), "c2");
  EXPECT_EQ(a.text(key), "c2");
  EXPECT_EQ(a.row(key).meta.expires_at_ms, kWallMs + 90'000) << "its own touch stays on top";
  EXPECT_TRUE(a.judge.asked.empty() && c.judge.asked.empty());
  EXPECT_GT(database.read(key).hlc, before);
  pass(11'000);
  EXPECT_EQ(a.row(key).meta.unshipped, Unshipped::nothing);
}

// What has been written and not been reported yet would be passed over by the next life.
TEST_F(FleetTest, ShippedToIsBelowWhatTheLedgerHasNotReported) {
  pass(5);
  a.ledger.late_syncs = true;
  a.tomb(key);
  a.put(full_key(0, "later"), "v1");
  pass(1500);
  ASSERT_EQ(a.row(key).meta.state, RowState::tomb);
  EXPECT_LT(a.fleet.status().shipped_to, a.row(key).meta.hlc);
  a.ledger.start_sync();
  a.ledger.end_sync();
  pass(500);
  EXPECT_EQ(there(), "tomb");
  EXPECT_GE(a.fleet.status().shipped_to, a.row(key).meta.hlc);
}
}  // namespace
}  // namespace stayd::test
