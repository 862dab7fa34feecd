// What other stayds have done comes into the ledger (B11), and what the feed says beside the rows.
#include "core/fleet_test_util.h"

namespace stayd::test {
namespace {

class FleetFeedTest : public FleetTest {};

// What a stayd makes next is later than all it has taken, in its next life too.
TEST_F(FleetFeedTest, WhatIsTakenFromAClockThatIsAheadRaisesTheLedgersHighest) {
  pass(5);
  c.clock_ms = 60'000;
  c.put(key, "v1");
  pass(400);
  ASSERT_EQ(a.text(key), "v1");
  EXPECT_GE(a.ledger.highest_hlc(), a.row(key).meta.hlc);
}

TEST_F(FleetFeedTest, AHostsEntryIsWitnessed) {
  pass(5);
  const Hlc ahead = hlc_from_wall_ms(kWallMs + 60'000);
  database.write({.host = BackupHost{.instance = 1 << 20, .hlc = ahead}}, now.wall_ms);
  pass(400);
  EXPECT_GE(a.clock.last(), ahead);
}

// What does not decode says nothing: ours stays, until somebody has written the row again.
TEST_F(FleetFeedTest, ARowThatDoesNotDecodeReplacesNone) {
  pass(5);
  c.put(key, "v1");
  pass(400);
  a.backup.cut_off = true;
  c.put(key, "v2");
  pass(400);
  database.damage(key);
  a.put(key, "a2");
  a.backup.cut_off = false;
  pass(1000);
  EXPECT_EQ(a.text(key), "a2");
  c.put(key, "v3");
  pass(1000);
  EXPECT_EQ(a.text(key), "v3");
}

// More waits for what is unshipped than is remembered: the feed is read from before it.
TEST_F(FleetFeedTest, WhatIsMissedBeyondTheBoundIsReadAgain) {
  FleetHost small(database, 44, now, {.max_missed = 2});
  small.judge.verdict = Verdict::wait;
  const auto run = [&](int ms) {
    for (int i = 0; i < ms; ++i) {
      pass(1);
      small.run();
    }
  };
  run(300);
  small.backup.cut_off = true;
  const auto name = [](int i) { return full_key(0, "k" + std::to_string(i)); };
  for (int i = 0; i < 3; ++i) a.put(name(i), "theirs");
  run(300);
  for (int i = 0; i < 3; ++i) small.put(name(i), "ours");
  const std::string cursor = small.ledger.fact("feed_cursor");
  small.backup.cut_off = false;
  run(1000);
  EXPECT_EQ(small.ledger.fact("feed_cursor"), cursor);
  small.judge.verdict = Verdict::theirs;
  run(1000);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(small.text(name(i)), "theirs");
  EXPECT_NE(small.ledger.fact("feed_cursor"), cursor);
}

}  // namespace
}  // namespace stayd::test
