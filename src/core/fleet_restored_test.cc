// A backup that was restored from an earlier time, or is another one (B12).
#include "core/fleet_test_util.h"

namespace stayd::test {
namespace {

class FleetRestoredTest : public FleetTest {
 protected:
  std::string there(const FullKey& of) const {
    const BackupRow row = database.read(of);
    if (row.state == RowState::absent) return "none";
    if (row.state == RowState::tomb) return "tomb";
    return std::get<std::string>(row.record.value);
  }
  // Written and shipped before and after the copy that the backup goes back to.
  template <class Copy>
  Copy fill(Copy (*copy)(const MemoryDatabase&)) {
    one.put(old, "old");
    one.put(changed, "v1");
    one.put(ended, "logged in");
    run(1000);
    const Copy then = copy(database);
    one.put(changed, "v2");
    one.tomb(ended);
    one.put(added, "new");
    for (int i = 0; i < 600; ++i) one.put(full_key(0, "many" + std::to_string(i)), "m");
    run(1000);
    EXPECT_EQ(there(added), "new");
    EXPECT_EQ(one.counters.backup_restores, 0);
    return then;
  }
  void expect_all_is_there() {
    EXPECT_EQ(there(old), "old");
    EXPECT_EQ(there(changed), "v2");
    EXPECT_EQ(there(ended), "tomb");
    EXPECT_EQ(there(added), "new");
    for (int i = 0; i < 600; ++i) EXPECT_EQ(there(full_key(0, "many" + std::to_string(i))), "m");
  }
  void run(int ms) {
    for (int i = 0; i < ms; ++i) {
      now.mono_us += kMs;
      ++now.wall_ms;
      one.run();
    }
  }

  // The next life of this ledger, for 3 s.
  void live_on() {
    MemoryBackup backup(database);
    FleetStore next(one.ledger, backup, FleetHost::of({}, 3 * kOriginLives + 2), one.clock,
                    one.counters);
    next.set_judge(&one.judge);
    next.set_events(&one.recorder);
    next.start(now);
    for (int i = 0; i < 3000; ++i) {
      now.mono_us += kMs;
      ++now.wall_ms;
      next.set_now(now);
      backup.run(now);
      next.on_tick(now);
      one.ledger.deliver();
      next.submit();
      one.ledger.deliver();
    }
  }

  const FullKey old = full_key(0, "old"), changed = full_key(0, "changed"),
                ended = full_key(0, "ended"), added = full_key(0, "added");
  FleetHost one{database, 3 * kOriginLives + 1, now};
};

TEST_F(FleetRestoredTest, AnotherEpochGetsWhatTheLedgerHas) {
  database.restore(fill<MemoryDatabase::Copy>([](const MemoryDatabase& is) { return is.copy(); }));
  run(3000);
  expect_all_is_there();
  EXPECT_EQ(one.counters.backup_restores, 1);
  EXPECT_EQ(one.text(changed), "v2") << "older rows of the feed replace nothing";
}

// Restored in place: nothing but this host's own entry tells.
TEST_F(FleetRestoredTest, TheSameEpochThatHasGoneBackIsNoticed) {
  database = fill<MemoryDatabase>([](const MemoryDatabase& is) { return is; });
  run(3000);
  expect_all_is_there();
  EXPECT_EQ(one.counters.backup_restores, 1);
}

// Its files of before, behind an outage: the entry is looked at before it is written again.
TEST_F(FleetRestoredTest, OneThatComesBackOlderIsNoticed) {
  const auto then = fill<MemoryDatabase>([](const MemoryDatabase& is) { return is; });
  for (int i = 0; i < 20; ++i) {
    database.down = true;
    run(300 + 13 * i);
    if (i == 7) database = then;
    database.down = false;
    run(700);
  }
  run(3000);
  expect_all_is_there();
  EXPECT_EQ(one.counters.backup_restores, 1);
}

TEST_F(FleetRestoredTest, AnEmptiedOneIsNoticed) {
  fill<int>([](const MemoryDatabase&) { return 0; });
  database = MemoryDatabase();
  run(3000);
  expect_all_is_there();
}

TEST_F(FleetRestoredTest, AnOutageOnTheWayOnlyDelaysIt) {
  const auto then = fill<MemoryDatabase::Copy>([](const MemoryDatabase& is) { return is.copy(); });
  database.restore(then);
  run(3);
  database.read_only = true;
  run(2000);
  database.read_only = false;
  run(3000);
  expect_all_is_there();
}

// A batch that is too large is written in pieces, and a row that is too large keeps no other back.
TEST_F(FleetRestoredTest, ARowThatIsTooLargeKeepsNoOtherBack) {
  const auto then = fill<MemoryDatabase::Copy>([](const MemoryDatabase& is) { return is.copy(); });
  const FullKey large = full_key(0, "aa large");
  one.put(large, std::string(5000, 'x'));
  run(1000);
  ASSERT_EQ(there(large).size(), 5000);
  database.max_bytes = 2000;
  database.restore(then);
  run(5000);
  expect_all_is_there();
  EXPECT_EQ(there(large), "none");
}

// What its first life had begun, the next one does.
TEST_F(FleetRestoredTest, ItOutlivesARestart) {
  one.put(changed, "v2");
  run(1000);
  one.ledger.put_fact("backup_restored", "under way");
  database = MemoryDatabase();
  live_on();
  EXPECT_EQ(there(changed), "v2");
  EXPECT_EQ(one.ledger.fact("backup_restored"), "");
}

// Nothing marks what is changed meanwhile as unshipped.
TEST_F(FleetRestoredTest, ALifeWithoutTheBackupIsMadeUpFor) {
  Random random(1);
  next_origin(one.ledger, random);
  one.put(changed, "v1");
  one.put(ended, "logged in");
  one.put(old, "old");
  run(1000);
  const auto without = [&](Mutation mutation) {
    mutation.hlc = one.clock.next(now.wall_ms);
    one.ledger.apply_one(std::move(mutation), 0, Durability::written);
  };
  without({.key = changed, .record = {.value = "v2"}, .from_client = true});
  Mutation tomb{.kind = Mutation::Kind::tomb, .key = ended};
  tomb.tomb_until_ms = kWallMs + 1'000'000;
  without(std::move(tomb));
  one.ledger.submit();
  one.ledger.deliver();
  ASSERT_EQ(one.text(changed), "v2");
  note_life_without_backup(one.ledger);
  live_on();
  EXPECT_EQ(there(changed), "v2");
  EXPECT_EQ(there(ended), "tomb");
  EXPECT_EQ(there(old), "old");
  EXPECT_EQ(one.row(changed).meta.base, one.row(changed).meta.version()) << "what comes next fits";
  EXPECT_EQ(one.counters.backup_restores, 0);
}

}  // namespace
}  // namespace stayd::test
