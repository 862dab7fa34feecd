// How the ledger's rows and those of a shared backup are joined (docs/adr/0016).
#include <gtest/gtest.h>

#include "session/apply.h"
#include "session/apply_test_util.h"

namespace stayd {
namespace {

constexpr std::uint64_t kOurs = 7;
constexpr std::uint64_t kTheirs = 9;

Mutation ours(Mutation mutation) {
  mutation.origin = kOurs;
  return mutation;
}

Mutation theirs(Kind kind, Hlc hlc, const char* text, std::uint32_t incarnation = 1) {
  Mutation out;
  out.kind = kind;
  RowMeta meta;
  meta.state = text == nullptr ? RowState::tomb : RowState::live;
  meta.type = text == nullptr ? ValueType::none : ValueType::string;
  meta.incarnation = incarnation;
  meta.hlc = hlc;
  meta.origin = kTheirs;
  meta.tomb_until_ms = text == nullptr ? kNow + 500 : 0;
  if (text != nullptr) out.record.value = std::string(text);
  out.merged = std::make_shared<const RowMeta>(meta);
  return out;
}

void ship(Row& row) {
  Mutation shipped = make(Kind::shipped, 0);
  shipped.base = row.meta.version();
  shipped.merged = std::make_shared<const RowMeta>(row.meta);
  EXPECT_EQ(apply(shipped, row, kNow), ApplyOutcome::applied);
}

TEST(ApplyFleet, WithoutAnOriginNothingIsUnshipped) {
  Row row;
  apply(put(1, "v"), row, kNow);
  EXPECT_EQ(row.meta.unshipped, Unshipped::nothing);
}

TEST(ApplyFleet, WhatIsUnshippedIsTold) {
  Row row;
  Mutation from_client = ours(put(1, "v"));
  from_client.from_client = true;
  apply(from_client, row, kNow);
  EXPECT_EQ(row.meta.unshipped, Unshipped::whole);
  ship(row);
  EXPECT_EQ(row.meta.unshipped, Unshipped::nothing);
  EXPECT_EQ(row.meta.base, (Version{1, kOurs}));

  apply(ours(put(2, "adopted")), row, kNow);
  EXPECT_EQ(row.meta.unshipped, Unshipped::part);
  ship(row);

  Mutation touch = ours(make(Kind::expiry, 3));
  apply(touch, row, kNow);  // for ever before, and now
  EXPECT_EQ(row.meta.unshipped, Unshipped::touch);
  touch.hlc = 4;
  touch.record.expires_at_ms = kNow + 100;
  apply(touch, row, kNow);
  EXPECT_EQ(row.meta.unshipped, Unshipped::part) << "sooner than before";
}

TEST(ApplyFleet, AShipmentOfWhatHasChangedSinceIsABase) {
  Row row;
  apply(ours(put(1, "v1")), row, kNow);
  apply(ours(put(2, "v2")), row, kNow);
  Mutation shipped = make(Kind::shipped, 0);
  shipped.base = {1, kOurs};
  RowMeta version = row.meta;
  version.hlc = 1;
  shipped.merged = std::make_shared<const RowMeta>(version);
  apply(shipped, row, kNow);
  EXPECT_EQ(row.meta.base, (Version{1, kOurs}));
  EXPECT_EQ(row.meta.unshipped, Unshipped::part);
}

// The feed was faster than the answer.
TEST(ApplyFleet, AShipmentsAnswerDoesNotTakeALaterBaseBack) {
  Row row;
  apply(ours(put(1, "v1")), row, kNow);
  Mutation shipped = make(Kind::shipped, 0);
  shipped.base = row.meta.version();
  shipped.merged = std::make_shared<const RowMeta>(row.meta);
  Mutation later = theirs(Kind::replace, 5, "v5");
  apply(later, row, kNow);
  EXPECT_EQ(apply(shipped, row, kNow), ApplyOutcome::superseded);
  EXPECT_EQ(row.meta.base, (Version{5, kTheirs}));
}

// A logout that had seen no row has buried what was there, and somebody has logged in here since.
TEST(ApplyFleet, ASessionOpenedAfterALogoutStaysAfterIt) {
  Row row;
  apply(ours(make(Kind::tomb, 1)), row, kNow);
  Mutation shipped = make(Kind::shipped, 0);
  shipped.base = row.meta.version();
  RowMeta buried = row.meta;
  buried.incarnation = 3;
  shipped.merged = std::make_shared<const RowMeta>(buried);
  Row logged_out = row;
  apply(shipped, logged_out, kNow);
  EXPECT_EQ(logged_out.meta.incarnation, 3u);
  EXPECT_EQ(logged_out.meta.unshipped, Unshipped::nothing);
  apply(ours(put(2, "new")), row, kNow);
  apply(shipped, row, kNow);
  EXPECT_EQ(row.meta.incarnation, 4u);
  EXPECT_EQ(row.meta.base, (Version{1, kOurs}));
  EXPECT_NE(row.meta.unshipped, Unshipped::nothing);
}

TEST(ApplyFleet, ANewerRowIsTaken) {
  Row row;
  EXPECT_EQ(apply(theirs(Kind::merge, 5, "t5"), row, kNow), ApplyOutcome::applied);
  EXPECT_EQ(row.meta.version(), (Version{5, kTheirs}));
  EXPECT_EQ(row.meta.base, row.meta.version());
  EXPECT_EQ(row.meta.unshipped, Unshipped::nothing);
  EXPECT_EQ(apply(theirs(Kind::merge, 4, "t4"), row, kNow), ApplyOutcome::superseded);
  EXPECT_EQ(apply(theirs(Kind::merge, 3, nullptr), row, kNow), ApplyOutcome::applied)
      << "a tombstone ends what lives, whatever the clocks say";
  EXPECT_EQ(apply(theirs(Kind::merge, 9, "late"), row, kNow), ApplyOutcome::superseded);
  EXPECT_EQ(apply(theirs(Kind::merge, 6, "new", 2), row, kNow), ApplyOutcome::applied);
  EXPECT_EQ(row.record.value, Record{.value = std::string("new")}.value);
}

TEST(ApplyFleet, WhatIsUnshippedStaysUntilItIsReplaced) {
  Row row;
  apply(ours(put(1, "ours")), row, kNow);
  EXPECT_EQ(apply(theirs(Kind::merge, 5, "theirs"), row, kNow), ApplyOutcome::superseded);
  EXPECT_EQ(apply(theirs(Kind::merge, 5, nullptr), row, kNow), ApplyOutcome::superseded);
  EXPECT_EQ(apply(theirs(Kind::replace, 5, nullptr), row, kNow), ApplyOutcome::applied);
  EXPECT_EQ(row.meta.state, RowState::tomb);
  EXPECT_EQ(row.meta.unshipped, Unshipped::nothing);
}

// A request on one host saves, the next one on another touches what it has not heard of.
TEST(ApplyFleet, ATouchStaysOnTopOfAValueThatItHasNotSeen) {
  Row row;
  Mutation old = theirs(Kind::merge, 1, "v1");
  old.record.expires_at_ms = kNow + 100;
  auto meta = std::make_shared<RowMeta>(*old.merged);
  meta->expires_at_ms = kNow + 100;
  old.merged = meta;
  apply(old, row, kNow);
  Mutation touch = ours(make(Kind::expiry, 5));
  touch.record.expires_at_ms = kNow + 900;
  apply(touch, row, kNow);
  EXPECT_EQ(row.meta.unshipped, Unshipped::touch);

  Mutation newer = theirs(Kind::merge, 3, "v3");
  newer.record.expires_at_ms = kNow + 200;
  meta = std::make_shared<RowMeta>(*newer.merged);
  meta->expires_at_ms = kNow + 200;
  newer.merged = meta;
  EXPECT_EQ(apply(newer, row, kNow), ApplyOutcome::applied);
  EXPECT_EQ(std::get<std::string>(row.record.value), "v3");
  EXPECT_EQ(row.meta.expires_at_ms, kNow + 900);
  EXPECT_EQ(row.meta.base, (Version{3, kTheirs}));
  EXPECT_EQ(row.meta.unshipped, Unshipped::touch);
  EXPECT_EQ(apply(theirs(Kind::merge, 3, nullptr), row, kNow), ApplyOutcome::applied);
  EXPECT_EQ(row.meta.state, RowState::tomb);
  EXPECT_EQ(row.meta.unshipped, Unshipped::nothing);
}

TEST(ApplyFleet, ATouchOfAnotherHostPutsOffTheExpiry) {
  Row row;
  Mutation first = theirs(Kind::merge, 1, "v");
  auto meta = std::make_shared<RowMeta>(*first.merged);
  meta->expires_at_ms = first.record.expires_at_ms = kNow + 100;
  first.merged = meta;
  apply(first, row, kNow);
  Mutation touched = theirs(Kind::merge, 1, "v");
  meta = std::make_shared<RowMeta>(*touched.merged);
  meta->expires_at_ms = touched.record.expires_at_ms = kNow + 900;
  touched.merged = meta;
  EXPECT_EQ(apply(touched, row, kNow), ApplyOutcome::applied);
  EXPECT_EQ(row.meta.expires_at_ms, kNow + 900);
  EXPECT_EQ(apply(touched, row, kNow), ApplyOutcome::superseded);
}

// It was decided alone, what came after it the backup has, and a full ledger has not: a logout that
// was agreed to upon that was lost, and the session answered again.
TEST(ApplyFleet, WhatWasAgreedToEndsWhatIsOlderAndUnshipped) {
  for (const Hlc unshipped : {Hlc{3}, Hlc{9}}) {
    Row row;
    apply(ours(put(unshipped, "alone")), row, kNow);
    ASSERT_GT(row.meta.unshipped, Unshipped::touch);
    Mutation logout = theirs(Kind::merge, 7, nullptr);
    logout.base = {5, kOurs};  // read from the backup
    const bool older = unshipped < 7;
    EXPECT_EQ(apply(logout, row, kNow), older ? ApplyOutcome::applied : ApplyOutcome::superseded);
    EXPECT_EQ(row.meta.state, older ? RowState::tomb : RowState::live) << "put on top of it since";
  }
}

TEST(ApplyFleet, ATouchThatIsShippedLeavesTheBase) {
  Row row;
  apply(theirs(Kind::merge, 1, "v"), row, kNow);
  row.meta.expires_at_ms = row.record.expires_at_ms = kNow + 100;
  Mutation touch = ours(make(Kind::expiry, 5));
  touch.record.expires_at_ms = kNow + 900;
  apply(touch, row, kNow);
  Mutation shipped = make(Kind::shipped, 0);
  shipped.base = {1, kTheirs};
  RowMeta version;
  version.hlc = 5;
  version.origin = kOurs;
  shipped.merged = std::make_shared<const RowMeta>(version);
  apply(shipped, row, kNow);
  EXPECT_EQ(row.meta.unshipped, Unshipped::nothing);
  EXPECT_EQ(row.meta.base, (Version{1, kTheirs}));
  EXPECT_EQ(apply(theirs(Kind::merge, 3, "v3"), row, kNow), ApplyOutcome::applied)
      << "the touch was later, the value is";
  EXPECT_EQ(std::get<std::string>(row.record.value), "v3");
}

TEST(ApplyFleet, ALogoutOfWhatTheRowKnowsNothingOfEndsTheNextIncarnation) {
  Row row;
  apply(ours(put(1, "v")), row, kNow);
  apply(ours(make(Kind::tomb, 2)), row, kNow);
  Mutation unseen = ours(make(Kind::tomb, 3));
  unseen.creates = true;
  apply(unseen, row, kNow);
  EXPECT_EQ(row.meta.incarnation, 2);
  Mutation opened = theirs(Kind::merge, 2, "opened elsewhere");
  auto merged = *opened.merged;
  merged.incarnation = 2;
  opened.merged = std::make_shared<const RowMeta>(merged);
  apply(opened, row, kNow);
  EXPECT_EQ(row.meta.state, RowState::tomb);
}

TEST(ApplyFleet, ATakenTombstoneOutlivesEveryCopy) {
  Row row;
  Mutation long_lived = ours(put(1, "v"));
  long_lived.record.expires_at_ms = kNow + 1000'000;
  apply(long_lived, row, kNow);
  ship(row);
  apply(theirs(Kind::merge, 2, nullptr), row, kNow);
  EXPECT_EQ(row.meta.tomb_until_ms, kNow + 1000'000);
}

}  // namespace
}  // namespace stayd
