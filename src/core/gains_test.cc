// Which slots a heartbeat of an older place says nothing of, over restarts too.
#include "core/gains.h"

#include <gtest/gtest.h>

#include "store/memory/memory_store.h"

namespace stayd {
namespace {

SlotSet slots(std::string_view ranges) {
  return parse_slot_ranges(ranges).value();
}

class GainsTest : public ::testing::Test {
 protected:
  std::string since(std::uint64_t version) const { return slot_ranges(gains.since(version)); }

  MemoryStore store{[] { return std::int64_t{1'000}; }};
  Gains gains{store};
};

TEST_F(GainsTest, NothingIsInDoubtOfAPlaceThatNeverGrew) {
  gains.start();
  EXPECT_EQ(since(0), "");
}

TEST_F(GainsTest, AHeartbeatSaysNothingOfWhatCameLater) {
  gains.add(2, slots("100-199"));
  gains.add(4, slots("300 400"));
  EXPECT_EQ(since(0), "100-199 300 400");
  EXPECT_EQ(since(1), "100-199 300 400");
  EXPECT_EQ(since(2), "300 400");
  EXPECT_EQ(since(3), "300 400");
  EXPECT_EQ(since(4), "");
}

// Away and back: what the slot holds now did not come before the second time.
TEST_F(GainsTest, ASlotThatComesTwiceCountsFromTheSecondTime) {
  gains.add(2, slots("7"));
  gains.add(3, slots("7"));
  EXPECT_EQ(since(2), "7");
}

TEST_F(GainsTest, TheyOutliveARestart) {
  gains.add(2, slots("100-199"));
  gains.add(4, slots("300 400"));
  store.submit();
  store.crash();
  Gains next(store);
  next.start();
  EXPECT_EQ(slot_ranges(next.since(1)), "100-199 300 400");
  EXPECT_EQ(slot_ranges(next.since(2)), "300 400");
}

TEST_F(GainsTest, TheOldestBecomeOneOfTheLaterVersion) {
  for (std::uint64_t i = 1; i <= Gains::kMax + 1; ++i) gains.add(i, SlotSet().set(i));
  EXPECT_EQ(gains.since(1)[1], true);  // in doubt although it came with version 1
  EXPECT_EQ(gains.since(2)[1], false);
  EXPECT_EQ(gains.since(2).count(), Gains::kMax - 1);
  for (std::uint64_t i = 1; i <= 100; ++i) gains.add(i + 100, SlotSet().set(i));
  EXPECT_EQ(gains.since(0).count(), 100u);
  EXPECT_LT(store.fact("gained_slots").size(), 10'000u);
}

}  // namespace
}  // namespace stayd
