// What stayds decide together (B7), each with its ledger.
#include "core/fleet_test_util.h"

namespace stayd::test {
namespace {

class FleetAgreementTest : public FleetTest {};

TEST_F(FleetAgreementTest, OfTwoThatDecideOneIsOutpaced) {
  pass(5);
  a.put(key, "v1");
  pass(400);
  for (FleetHost* host : {&a, &c}) host->load_exact(key);
  pass(5);
  std::map<FleetHost*, StoreToken> tokens;
  for (FleetHost* host : {&a, &c}) {
    tokens[host] = host->agree(key, host == &a ? "a2" : "c2");
  }
  pass(20);
  int applied = 0;
  for (FleetHost* host : {&a, &c}) {
    const ApplyOutcome outcome = host->recorder.applied.at(tokens[host]).outcome;
    applied += outcome == ApplyOutcome::applied ? 1 : 0;
    if (outcome != ApplyOutcome::applied) EXPECT_EQ(outcome, ApplyOutcome::outpaced);
    EXPECT_EQ(host->text(key), there()) << "who was outpaced knows by whom";
  }
  EXPECT_EQ(applied, 1);
}

// The feed brings what was agreed, and what came after it, before the answer does.
TEST_F(FleetAgreementTest, AnAnswerThatIsLaterThanTheFeedChangesNothing) {
  for (const bool ended : {false, true}) {
    a.put(key, ended ? "w1" : "v1");
    pass(400);
    const StoreToken loaded = a.load_exact(key);
    pass(5);
    ASSERT_TRUE(a.recorder.seen(loaded));
    a.latency_us = 40'000;  // there, and back
    const StoreToken told = a.agree(key, "agreed");
    pass(2);  // it is on its way
    a.latency_us = 500;
    for (int i = 0; i < 100 && there() != "agreed"; ++i) pass(1);
    ASSERT_EQ(there(), "agreed");
    EXPECT_FALSE(a.recorder.seen(told));
    BackupRow next = database.read(key);
    next.origin = 99;
    next.state = ended ? RowState::tomb : RowState::live;
    next.hlc += ended ? -1 : 1;  // a logout by a host whose clock is behind
    if (!ended) next.record.value = std::string("next");
    if (ended) next.record = {};
    database.write({{{.row = next}}}, now.wall_ms);
    pass(20);
    EXPECT_FALSE(a.recorder.seen(told)) << "the feed was first";
    EXPECT_EQ(a.text(key), ended ? "-" : "next");
    pass(100);
    ASSERT_TRUE(a.recorder.seen(told));
    EXPECT_EQ(a.recorder.applied.at(told).outcome, ApplyOutcome::applied);
    pass(1000);
    EXPECT_EQ(there(), ended ? "tomb" : "next");
    EXPECT_EQ(a.row(key).meta.base, next.version());
    EXPECT_EQ(a.row(key).meta.version(), next.version());
  }
}

TEST_F(FleetAgreementTest, WhatNoChangeHasChangedIsNotDecided) {
  pass(5);
  const FullKey other = full_key(0, "other");
  for (const FullKey& one : {key, other}) a.put(one, "v1");
  pass(400);
  for (const FullKey& one : {key, other}) a.load_exact(one);
  pass(5);
  Mutation touch;
  touch.kind = Mutation::Kind::expiry;
  touch.key = key;
  touch.record.expires_at_ms = kWallMs + 50'000;
  touch.hlc = a.clock.next(now.wall_ms);
  Mutation field;  // of what is no hash
  field.kind = Mutation::Kind::elements;
  field.type = ValueType::hash;
  field.key = other;
  field.elements.push_back({"f", false, "v"});
  field.hlc = a.clock.next(now.wall_ms);
  a.fleet.apply_agreed({{std::move(touch), 501}, {std::move(field), 502}},
                       {{key, a.row(key)}, {other, a.row(other)}}, Durability::written);
  pass(5);
  EXPECT_EQ(a.recorder.applied.at(501).outcome, ApplyOutcome::applied);
  EXPECT_EQ(a.recorder.applied.at(502).outcome, ApplyOutcome::base_unknown);
  EXPECT_EQ(database.read(key).record.expires_at_ms, kWallMs + 50'000);
}

// A logout that the ledger could not take holds in memory: the row in hand does not tell that the
// backup has its tombstone. The command ran again and again, for as long as the backup was up.
TEST_F(FleetAgreementTest, ASecondTombstoneOfAnIncarnationIsAnsweredAtOnce) {
  pass(5);
  a.put(key, "v1");
  pass(400);
  a.tomb(key);
  pass(400);
  const Version first = database.read(key).version();
  Row read = a.row(key);
  read.meta.unshipped = Unshipped::part;
  Mutation tomb;
  tomb.kind = Mutation::Kind::tomb;
  tomb.key = key;
  tomb.tomb_until_ms = kWallMs + 1'000'000;
  tomb.hlc = a.clock.next(now.wall_ms);
  a.fleet.apply_agreed({{std::move(tomb), 501}}, {{key, read}}, Durability::synced);
  pass(20);
  EXPECT_EQ(a.recorder.applied.at(501).outcome, ApplyOutcome::applied);
  EXPECT_EQ(database.read(key).version(), first);
}

// Redis held nothing of what was in doubt: nobody has logged out, and a fence does not count it.
TEST_F(FleetAgreementTest, AProvisionalTombstoneStaysSoWhenItIsReadExactly) {
  pass(5);
  Mutation tomb;
  tomb.kind = Mutation::Kind::tomb;
  tomb.provisional = true;
  tomb.key = key;
  tomb.tomb_until_ms = kWallMs + 1'000'000;
  a.change(std::move(tomb), Durability::written);
  pass(400);
  ASSERT_EQ(there(), "tomb");
  const StoreToken told = a.load_exact(key);
  pass(5);
  EXPECT_TRUE(a.recorder.loaded.at(told).meta.provisional);
}

TEST_F(FleetAgreementTest, WhatTheBackupDoesNotAnswerIsDecidedAloneAndShippedLater) {
  pass(5);
  a.put(key, "v1");
  pass(400);
  c.load_exact(key);
  pass(5);
  c.backup.cut_off = true;
  const StoreToken told = c.agree(key, "c2");
  c.put(full_key(0, "later"), "w");
  for (int i = 0; i < 1500; ++i) {  // whenever stayd is killed, the next life ships it
    pass(1);
    EXPECT_LT(c.fleet.status().shipped_to, c.clock.last() - 1);
  }
  EXPECT_LT(c.fleet.status().shipped_to, c.row(key).meta.hlc);
  EXPECT_EQ(c.recorder.applied.at(told).outcome, ApplyOutcome::applied);
  EXPECT_EQ(c.text(key), "c2");
  c.backup.cut_off = false;
  pass(1000);
  EXPECT_EQ(there(), "c2");
  EXPECT_EQ(a.text(key), "c2");
}

}  // namespace
}  // namespace stayd::test
