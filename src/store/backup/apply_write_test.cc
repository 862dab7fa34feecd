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
      {tomb, tomb_row("k", 6), BackupOutcome::applied},
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

TEST(ApplyWrite, AConfirmationIsOfExactlyThisVersion) {
  const BackupRow live = live_row("k", 5, "v");
  EXPECT_TRUE(apply_write(live, {Kind::confirm, live, {}}).row.confirmed);
  for (int field = 0; field < 5; ++field) {
    BackupRow other = live;
    if (field == 0) other.hlc = 6;
    if (field == 1) other.touched_hlc = 6;
    if (field == 2) other.incarnation = 1;
    if (field == 3) other.state = RowState::tomb;
    if (field == 4) other.origin = "host-2";
    EXPECT_EQ(outcome(live, {Kind::confirm, other, {}}), BackupOutcome::superseded) << field;
  }
  EXPECT_EQ(outcome({}, {Kind::confirm, {}, {}}), BackupOutcome::superseded);
}

TEST(ApplyWrite, WhatIsConfirmedIsValueAndExpiryTogether) {
  BackupRow live = live_row("k", 5, "v", 1000);
  live.confirmed = true;
  BackupRow touch = live_row("k", 7, "", 2000);
  EXPECT_FALSE(apply_write(live, {Kind::touch, touch, {}}).row.confirmed);
  touch.confirmed = true;
  const BackupRow touched = apply_write(live, {Kind::touch, touch, {}}).row;
  EXPECT_TRUE(touched.confirmed);
  BackupRow save = live_row("k", 6, "w", 1500);
  save.confirmed = true;
  EXPECT_FALSE(apply_write(touched, put_row(save)).row.confirmed);
}

TEST(ApplyWrite, ExpectedIsLookedAtFirst) {
  const BackupRow live = live_row("k", 5, "v");
  EXPECT_EQ(outcome(live, put_row(live_row("k", 6, "w"), 5)), BackupOutcome::applied);
  EXPECT_EQ(outcome(live, put_row(live_row("k", 6, "w"), 4)), BackupOutcome::conflict);
  EXPECT_EQ(outcome(live, put_row(live_row("k", 6, "w"), 0)), BackupOutcome::conflict);
  EXPECT_EQ(outcome(live, put_row(live_row("k", 4, "w"), 5)), BackupOutcome::superseded);
  EXPECT_EQ(outcome({}, put_row(live_row("k", 6, "w"), 0)), BackupOutcome::applied);
  EXPECT_EQ(outcome({}, put_row(live_row("k", 6, "w"), 5)), BackupOutcome::conflict);
}

}  // namespace
}  // namespace stayd::test
