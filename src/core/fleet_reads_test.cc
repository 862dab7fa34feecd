// What one stayd reads exactly: ledger and backup together.
#include "core/fleet_test_util.h"

namespace stayd::test {
namespace {

class FleetReadsTest : public FleetTest {};

// --- exact reads

TEST_F(FleetReadsTest, AnExactReadKnowsWhatTheFeedHasNotBrought) {
  pass(5);
  a.put(key, "v1");
  pass(2);
  EXPECT_EQ(c.text(key), "-");
  const StoreToken told = c.load_exact(key);
  pass(5);
  ASSERT_TRUE(c.recorder.seen(told));
  EXPECT_EQ(std::get<std::string>(c.recorder.loaded[told].record.value), "v1");
  EXPECT_FALSE(c.recorder.loaded[told].alone);
  EXPECT_EQ(c.text(key), "v1");
}

TEST_F(FleetReadsTest, OneReadForAllWhoAskAtOnce) {
  pass(5);
  a.put(key, "v1");
  pass(5);
  const StoreToken first = c.load_exact(key);
  const StoreToken second = c.load_exact(key);
  pass(5);
  EXPECT_EQ(c.recorder.loaded.at(first).meta, c.recorder.loaded.at(second).meta);
}

// A logout that was held in memory, as the ledger could not be written, comes to it without the
// key's lock.
TEST_F(FleetReadsTest, AnExactReadThatTheLedgerChangesUnderIsReadAgain) {
  a.put(key, "v1");
  pass(500);
  a.latency_us = 50 * kMs;
  const StoreToken told = a.load_exact(key);
  pass(10);  // the ledger has answered, the backup has not
  a.tomb(key);
  pass(500);
  ASSERT_TRUE(a.recorder.loaded.contains(told));
  EXPECT_EQ(a.recorder.loaded.at(told).meta.state, RowState::tomb);
}

TEST_F(FleetReadsTest, AnExactReadOfWhatIsUnshippedShipsItFirst) {
  pass(5);
  a.put(key, "v1");
  pass(400);
  a.put(key, "a2");
  a.run();
  const StoreToken told = a.load_exact(key);
  pass(10);
  EXPECT_EQ(std::get<std::string>(a.recorder.loaded.at(told).record.value), "a2");
  EXPECT_EQ(there(), "a2");
}

TEST_F(FleetReadsTest, WithoutAnAnswerTheLedgerIsAllThereIs) {
  pass(5);
  a.put(key, "v1");
  pass(400);
  database.frozen = true;
  const StoreToken known = c.load_exact(key);
  const StoreToken other = c.load_exact(full_key(0, "sess:unknown"));
  pass(150);
  EXPECT_EQ(std::get<std::string>(c.recorder.loaded.at(known).record.value), "v1");
  EXPECT_TRUE(c.recorder.loaded.at(known).alone);
  EXPECT_TRUE(c.recorder.loaded.at(other).alone);
  EXPECT_EQ(c.recorder.loaded.at(other).meta.state, RowState::absent);
}

}  // namespace
}  // namespace stayd::test
