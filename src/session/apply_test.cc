#include "session/apply.h"

#include <gtest/gtest.h>

#include "session/apply_test_util.h"

namespace stayd {
namespace {

Mutation member(Hlc hlc, std::string name, bool removed) {
  Mutation mutation = make(Kind::elements, hlc);
  mutation.type = ValueType::set;
  mutation.elements.push_back({.name = std::move(name), .removed = removed});
  return mutation;
}

TEST(Apply, RowsNeverGoBack) {
  Row row;
  EXPECT_EQ(apply(put(5, "new"), row, kNow), ApplyOutcome::applied);
  EXPECT_EQ(apply(put(5, "same version"), row, kNow), ApplyOutcome::superseded);
  EXPECT_EQ(apply(make(Kind::tomb, 4), row, kNow), ApplyOutcome::superseded);
  EXPECT_EQ(std::get<std::string>(row.record.value), "new");
}

// A row that became stale in doubt was stamped with the evictions of now: its key, evicted before,
// seemed to have been removed.
TEST(Apply, WhatIsNotConfirmedKeepsItsMark) {
  Row row;
  Mutation confirmed = put(1, "v");
  confirmed.mark = {.epoch = 1, .evicted_keys = 5};
  apply(confirmed, row, kNow);
  Mutation doubt = make(Kind::stale, 2);
  doubt.mark = {.epoch = 1, .evicted_keys = 7};
  doubt.unconfirmed = true;
  apply(doubt, row, kNow);
  EXPECT_TRUE(row.meta.stale);
  EXPECT_EQ(row.meta.mark, confirmed.mark);
  Row unknown;
  apply(doubt, unknown, kNow);
  EXPECT_EQ(unknown.meta.mark, doubt.mark);
}

TEST(Apply, ChangesOfAnAbsentOrStaleRowNeedItsBase) {
  for (const Kind kind : {Kind::value, Kind::elements, Kind::expiry}) {
    Row row;
    EXPECT_EQ(apply(make(kind, 1), row, kNow), ApplyOutcome::base_unknown);
    EXPECT_EQ(row.meta, RowMeta{});
    apply(put(2, "x"), row, kNow);
    apply(make(Kind::stale, 3), row, kNow);
    EXPECT_TRUE(row.meta.stale);
    EXPECT_EQ(apply(make(kind, 4), row, kNow), ApplyOutcome::base_unknown);
    EXPECT_EQ(apply(put(5, "y"), row, kNow), ApplyOutcome::applied);
    EXPECT_FALSE(row.meta.stale);
  }
}

TEST(Apply, ACreateAfterATombstoneOpensTheNextIncarnation) {
  Row row;
  apply(put(1, "one"), row, kNow);
  EXPECT_EQ(row.meta.incarnation, 1u);
  EXPECT_EQ(row.meta.created_at_ms, kNow);
  apply(put(2, "two"), row, kNow + 5);
  EXPECT_EQ(row.meta.incarnation, 1u);
  EXPECT_EQ(row.meta.created_at_ms, kNow);
  Mutation tomb = make(Kind::tomb, 3);
  tomb.tomb_until_ms = kNow + 1000;
  apply(tomb, row, kNow + 10);
  EXPECT_EQ(row.meta.state, RowState::tomb);
  EXPECT_EQ(row.meta.tomb_until_ms, kNow + 1000);
  EXPECT_FALSE(row.record.exists());
  EXPECT_EQ(apply(member(4, "m", false), row, kNow + 20), ApplyOutcome::applied);
  EXPECT_EQ(row.meta.incarnation, 2u);
  EXPECT_EQ(row.meta.created_at_ms, kNow + 20);
  EXPECT_EQ(row.meta.type, ValueType::set);
}

TEST(Apply, APassedExpiryEndsTheIncarnation) {
  Row row;
  apply(put(1, "old", kNow + 10), row, kNow);
  Mutation value = make(Kind::value, 2);
  value.record.value = std::string("7");
  EXPECT_EQ(apply(value, row, kNow + 10), ApplyOutcome::applied);
  EXPECT_EQ(row.meta.expires_at_ms, 0);
  EXPECT_EQ(row.meta.incarnation, 2u);
}

// stayd stood still while a key of a few seconds was touched, and both lives have ended since.
TEST(Apply, ATouchThatHasPassedTooChangesNothing) {
  Row row;
  apply(put(1, "x", kNow + 10), row, kNow);
  Mutation touch = make(Kind::expiry, 2);
  touch.record.expires_at_ms = kNow + 20;
  EXPECT_EQ(apply(touch, row, kNow + 30), ApplyOutcome::superseded);
  touch.hlc = 3;
  touch.record.expires_at_ms = kNow + 40;
  EXPECT_EQ(apply(touch, row, kNow + 30), ApplyOutcome::base_unknown);
  EXPECT_FALSE(row.meta.stale);
}

TEST(Apply, AValueKeepsTheExpiry) {
  Row row;
  apply(put(1, "1", kNow + 1000), row, kNow);
  Mutation value = make(Kind::value, 2);
  value.record.value = std::string("2");
  apply(value, row, kNow);
  EXPECT_EQ(row.record.expires_at_ms, kNow + 1000);
  EXPECT_EQ(row.meta.expires_at_ms, kNow + 1000);
}

TEST(Apply, TheLastElementTakesTheRowWithIt) {
  Row row;
  apply(make(Kind::tomb, 1), row, kNow);
  apply(member(2, "m", false), row, kNow);
  Mutation last = member(3, "m", true);
  last.tomb_until_ms = kNow + 99;
  EXPECT_EQ(apply(last, row, kNow), ApplyOutcome::applied);
  EXPECT_EQ(row.meta.state, RowState::tomb);
  EXPECT_EQ(row.meta.tomb_until_ms, kNow + 99);
  EXPECT_EQ(apply(member(4, "m", true), row, kNow), ApplyOutcome::base_unknown);
}

TEST(Apply, ElementsOfAnotherTypeNeedTheBase) {
  Row row;
  apply(put(1, "string"), row, kNow);
  EXPECT_EQ(apply(member(2, "m", false), row, kNow), ApplyOutcome::base_unknown);
}

TEST(Apply, AdoptionWritesOnlyWhatIsUnknown) {
  Row row;
  Mutation adopted = put(5, "from Redis");
  adopted.only_if_unknown = true;
  EXPECT_EQ(apply(adopted, row, kNow), ApplyOutcome::applied);
  adopted.hlc = 6;
  EXPECT_EQ(apply(adopted, row, kNow), ApplyOutcome::superseded);
  apply(make(Kind::stale, 7), row, kNow);
  adopted.hlc = 8;
  EXPECT_EQ(apply(adopted, row, kNow), ApplyOutcome::applied);
}

// What was merely taken over from Redis is told from what was written here: another stayd may know
// better.
TEST(Apply, ARowIsAdoptedUntilItIsWritten) {
  Row row;
  Mutation adopted = put(5, "from Redis");
  adopted.only_if_unknown = true;
  apply(adopted, row, kNow);
  EXPECT_TRUE(row.meta.adopted);
  Mutation touch = make(Kind::expiry, 6);
  touch.record.expires_at_ms = kNow + 1000;
  EXPECT_EQ(apply(touch, row, kNow), ApplyOutcome::applied);
  EXPECT_FALSE(row.meta.adopted);
}

TEST(Apply, StaleMakesARowWhereThereWasNone) {
  Row row;
  EXPECT_EQ(apply(make(Kind::stale, 1), row, kNow), ApplyOutcome::applied);
  EXPECT_TRUE(row.meta.stale);
  EXPECT_NE(row.meta.state, RowState::absent);
  EXPECT_EQ(apply(make(Kind::forget, 2), row, kNow), ApplyOutcome::applied);
  EXPECT_EQ(row.meta, RowMeta{});
}

// A session of two weeks was logged out; its tombstone was forgotten after a day, and a dump of
// Redis from before the logout brought the session back (I9).
TEST(Apply, ATombstoneOutlivesEveryCopyOfWhatItCovers) {
  Row row;
  Mutation long_lived = put(1, "v1");
  long_lived.record.expires_at_ms = kNow + 1000'000;
  apply(long_lived, row, kNow);
  Mutation shorter = put(2, "v2");
  shorter.record.expires_at_ms = kNow + 500;
  apply(shorter, row, kNow);
  Mutation tomb = make(Kind::tomb, 3);
  tomb.tomb_until_ms = kNow + 100'000;
  apply(tomb, row, kNow);
  EXPECT_EQ(row.meta.tomb_until_ms, kNow + 1000'000);
  apply(put(4, "v3"), row, kNow);
  tomb.hlc = 5;
  apply(tomb, row, kNow);
  EXPECT_EQ(row.meta.tomb_until_ms, kNow + 1000'000);
  tomb.hlc = 6;
  tomb.tomb_until_ms = 0;  // for ever
  apply(tomb, row, kNow);
  EXPECT_EQ(row.meta.tomb_until_ms, 0);
}

TEST(Apply, ProvisionalUntilRedisConfirms) {
  Row row;
  Mutation provisional = put(1, "x");
  provisional.provisional = true;
  apply(provisional, row, kNow);
  EXPECT_TRUE(row.meta.provisional);
  Mutation expiry = make(Kind::expiry, 2);
  expiry.record.expires_at_ms = kNow + 50;
  apply(expiry, row, kNow);
  EXPECT_TRUE(row.meta.provisional);
  apply(put(3, "x"), row, kNow);
  EXPECT_FALSE(row.meta.provisional);
}

TEST(Apply, PlacedKeepsTheValue) {
  Row row;
  EXPECT_EQ(apply(make(Kind::placed, 1), row, kNow), ApplyOutcome::superseded);
  Mutation provisional = put(2, "x");
  provisional.provisional = true;
  apply(provisional, row, kNow);
  apply(make(Kind::placed, 3), row, kNow);
  EXPECT_FALSE(row.meta.provisional);
  EXPECT_EQ(row.meta.hlc, 3u);
  EXPECT_EQ(std::get<std::string>(row.record.value), "x");
}

}  // namespace
}  // namespace stayd
