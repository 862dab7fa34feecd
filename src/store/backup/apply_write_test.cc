#include "store/backup/apply_write.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "store/test_backups.h"

namespace stayd::test {
namespace {

using Kind = BackupWrite::Kind;

BackupOutcome outcome(const BackupRow& there, const BackupWrite& write) {
  return apply_write(there, write).outcome;
}

BackupRow later_incarnation(BackupRow row) {
  row.incarnation = 1;
  return row;
}

BackupRow by_another(BackupRow row) {
  row.origin = ~std::uint64_t{0};
  return row;
}

TEST(ApplyWrite, WhatReplacesWhat) {
  const BackupRow absent;
  const BackupRow live = live_row("k", 5, "v");
  const BackupRow tomb = tomb_row("k", 5);
  struct Case {
    BackupRow there, put;
    BackupOutcome want;
  };
  const Case cases[] = {
      {absent, live, BackupOutcome::applied},
      {absent, tomb, BackupOutcome::applied},
      {live, live, BackupOutcome::superseded},
      {live, live_row("k", 6, "w"), BackupOutcome::applied},
      {live, live_row("k", 4, "w"), BackupOutcome::superseded},
      {live, tomb_row("k", 1), BackupOutcome::applied},
      {tomb, live_row("k", 9, "w"), BackupOutcome::superseded},
      {tomb, tomb_row("k", 6), BackupOutcome::superseded},
      {tomb, later_incarnation(tomb_row("k", 1)), BackupOutcome::applied},
      {live, by_another(live), BackupOutcome::applied},
      {by_another(live), live, BackupOutcome::superseded},
      {tomb, later_incarnation(live_row("k", 1, "w")), BackupOutcome::applied},
      {later_incarnation(live), tomb_row("k", 9), BackupOutcome::superseded},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(outcome(c.there, put_row(c.put)), c.want) << c.there.hlc << " " << c.put.hlc;
  }
}

TEST(ApplyWrite, ATouchJoins) {
  const BackupRow live = live_row("k", 5, "v", 1000);
  const auto touched = [](const BackupRow& there, Hlc hlc, std::int64_t expires_at_ms) {
    return apply_write(there, {Kind::touch, live_row("k", hlc, "", expires_at_ms), {}});
  };
  const AppliedWrite longer = touched(live, 6, 2000);
  EXPECT_EQ(longer.outcome, BackupOutcome::applied);
  EXPECT_EQ(longer.row.hlc, 5U);
  EXPECT_EQ(longer.row.touched_hlc, 6U);
  EXPECT_EQ(longer.row.record.expires_at_ms, 2000);
  EXPECT_EQ(text_of(longer.row), "v");
  EXPECT_EQ(touched(live, 6, 500).row.record.expires_at_ms, 1000);
  EXPECT_EQ(touched(live, 6, 0).row.record.expires_at_ms, 0);
  EXPECT_EQ(touched(longer.row, 6, 1500).outcome, BackupOutcome::superseded);
  EXPECT_EQ(touched(live, 5, 9000).outcome, BackupOutcome::superseded);
  EXPECT_EQ(touched(tomb_row("k", 1), 9, 9000).outcome, BackupOutcome::superseded);
  EXPECT_EQ(touched({}, 9, 9000).outcome, BackupOutcome::superseded);
}

// Two hosts, one that saves and one that touches: whoever reaches the backup first, the row is the
// same.
TEST(ApplyWrite, ValuesAndTouchesCommute) {
  Random random(1);
  for (int i = 0; i < 2000; ++i) {
    const auto expiry = [&] { return static_cast<std::int64_t>(1 + random.below(5)) * 1000; };
    const BackupRow there = live_row("k", 1, "old", expiry());
    const BackupWrite save = put_row(live_row("k", 2 + random.below(4) * 2, "new", expiry()));
    const BackupWrite touch{Kind::touch, live_row("k", 3 + random.below(4) * 2, "", expiry()), {}};
    const BackupRow one = apply_write(apply_write(there, save).row, touch).row;
    const BackupRow two = apply_write(apply_write(there, touch).row, save).row;
    EXPECT_EQ(text_of(one), "new");
    EXPECT_EQ(text_of(two), "new");
    EXPECT_EQ(one.hlc, two.hlc);
    EXPECT_EQ(one.touched_hlc, two.touched_hlc);
    if (touch.row.hlc < save.row.hlc) {
      EXPECT_EQ(one.record.expires_at_ms, two.record.expires_at_ms);
    } else {  // never earlier than either said; the old row's own expiry may count
      EXPECT_GE(two.record.expires_at_ms, one.record.expires_at_ms);
    }
  }
}

TEST(ApplyWrite, APutSaysWhetherItCameThroughRedisAndATouchDoesNot) {
  for (const bool through_redis : {false, true}) {
    BackupRow live = live_row("k", 5, "v", 1000);
    live.through_redis = through_redis;
    BackupRow other = live_row("k", 7, "w", 2000);
    other.through_redis = !through_redis;
    EXPECT_EQ(apply_write(live, {Kind::touch, other, {}}).row.through_redis, through_redis);
    EXPECT_EQ(apply_write(live, put_row(other)).row.through_redis, !through_redis);
  }
}

TEST(ApplyWrite, ExpectedIsLookedAtFirst) {
  const BackupRow live = live_row("k", 5, "v");
  const auto expecting = [](const BackupRow& there, Hlc hlc, Version expected) {
    return outcome(there, put_row(live_row("k", hlc, "w"), expected));
  };
  EXPECT_EQ(expecting(live, 6, {5, 1}), BackupOutcome::applied);
  EXPECT_EQ(expecting(live, 6, {4, 1}), BackupOutcome::conflict);
  EXPECT_EQ(expecting(live, 6, {5, 2}), BackupOutcome::conflict);
  EXPECT_EQ(expecting(live, 6, {}), BackupOutcome::conflict);
  EXPECT_EQ(expecting(live, 4, {5, 1}), BackupOutcome::superseded);
  EXPECT_EQ(expecting({}, 6, {}), BackupOutcome::applied);
  EXPECT_EQ(expecting({}, 6, {5, 1}), BackupOutcome::conflict);
  EXPECT_EQ(expecting({}, 6, {0, 1}), BackupOutcome::conflict);
}

// The logout has seen a row: it ends that session, and none that was opened under the id since.
TEST(ApplyWrite, ALogoutEndsTheIncarnationThatItHasSeen) {
  BackupRow seen = live_row("k", 9, "v");
  seen.incarnation = 2;
  BackupRow logout = tomb_row("k", 1);
  logout.incarnation = 2;
  EXPECT_EQ(outcome(seen, put_row(logout)), BackupOutcome::applied);
  seen.incarnation = 3;
  EXPECT_EQ(outcome(seen, put_row(logout)), BackupOutcome::superseded);
  seen.incarnation = 1;
  EXPECT_EQ(outcome(seen, put_row(logout)), BackupOutcome::applied);
}

TEST(ApplyWrite, ALogoutThatHasSeenNoRowBuriesWhatIsOlder) {
  const auto bury = [](const BackupRow& there, Hlc hlc) {
    BackupWrite write = put_row(tomb_row("k", hlc, 99));
    write.kind = Kind::bury;
    return apply_write(there, write);
  };
  BackupRow live = live_row("k", 5, "v");
  live.incarnation = 3;
  const AppliedWrite buried = bury(live, 6);
  EXPECT_EQ(buried.outcome, BackupOutcome::applied);
  EXPECT_EQ(buried.row.state, RowState::tomb);
  EXPECT_EQ(buried.row.incarnation, 3U);
  EXPECT_EQ(buried.row.tomb_until_ms, 99);
  EXPECT_EQ(bury(live, 5).outcome, BackupOutcome::superseded);
  EXPECT_EQ(bury(live, 4).outcome, BackupOutcome::superseded);
  EXPECT_EQ(bury(buried.row, 9).outcome, BackupOutcome::superseded);
  EXPECT_EQ(bury({}, 1).outcome, BackupOutcome::applied);
  EXPECT_EQ(bury({}, 1).row.incarnation, 0U);
}

}  // namespace
}  // namespace stayd::test
