#include "redis/region_choice.h"

#include <gtest/gtest.h>

namespace stayd {
namespace {

constexpr std::int64_t kSecondUs = 1'000'000;

// Three regions; the first is in use, the others are well since the beginning.
class RegionChoiceTest : public ::testing::Test {
 protected:
  RegionChoiceTest() : regions(3) {
    for (std::size_t i = 1; i < 3; ++i) regions[i].well = true;
  }
  // What is decided within so many seconds; the time of it is `now`.
  std::optional<RegionSwitch> within(std::int64_t seconds) {
    for (const auto end_us = now.mono_us + seconds * kSecondUs; now.mono_us < end_us;) {
      now.mono_us += kSecondUs / 10;
      if (const auto to = choice.decide(now, in_use, regions, preferred)) return to;
    }
    return std::nullopt;
  }
  void goes_out() {
    in_use.trusted = false;
    in_use.out = true;
  }
  // Puts `index` in use.
  void use(std::size_t index) {
    regions[in_use.index] = {.well = true, .well_since_us = now.mono_us, .drained = false};
    in_use = {.index = index, .trusted = true, .out = false, .known = true, .drained = false};
    choice.switched(now);
  }

  RegionChoice choice{
      {.automatic = true, .failover_after_ms = 30'000, .failback_after_ms = 300'000}};
  Now now{10 * kSecondUs, 0};
  RegionInUse in_use{.index = 0, .trusted = true, .out = false, .known = true, .drained = false};
  std::vector<RegionHealth> regions;
  std::size_t preferred = 0;
};

TEST_F(RegionChoiceTest, StaysWhereItIsTrusted) {
  EXPECT_FALSE(within(1'000));
}

TEST_F(RegionChoiceTest, FailsOverAfterAWhileToTheFirstThatIsWell) {
  EXPECT_FALSE(within(5));
  goes_out();
  EXPECT_FALSE(within(29));
  const auto to = within(2);
  ASSERT_TRUE(to);
  EXPECT_EQ(to->to, 1u);
  EXPECT_EQ(to->cause, RegionCause::failover);
}

TEST_F(RegionChoiceTest, AMomentOfTrustBeginsTheWaitAnew) {
  EXPECT_FALSE(within(5));
  for (int i = 0; i < 5; ++i) {
    goes_out();
    EXPECT_FALSE(within(25));
    in_use.trusted = true;
    in_use.out = false;
    EXPECT_FALSE(within(1));
  }
}

// Connected again and again, and never trusted: the time counts on, and it goes when it is out.
TEST_F(RegionChoiceTest, AReconcileIsWaitedForAndDoesNotEndTheOutage) {
  EXPECT_FALSE(within(5));
  goes_out();
  EXPECT_FALSE(within(20));
  in_use.out = false;
  EXPECT_FALSE(within(20));
  in_use.out = true;
  EXPECT_TRUE(within(1));
}

TEST_F(RegionChoiceTest, SkipsThoseThatAreIllOrDrainedOrHaveOnlyJustComeBack) {
  EXPECT_FALSE(within(5));
  goes_out();
  regions[1].drained = true;
  regions[2].well = false;
  EXPECT_FALSE(within(60));
  regions[2].well = true;
  regions[2].well_since_us = now.mono_us;
  EXPECT_FALSE(within(1));
  const auto to = within(2);
  ASSERT_TRUE(to);
  EXPECT_EQ(to->to, 2u);
}

TEST_F(RegionChoiceTest, WhatOnlyTheOneInUseKnowsIsNotLeft) {
  in_use.known = false;
  EXPECT_FALSE(within(5));
  EXPECT_FALSE(choice.waits_for_backfill());
  goes_out();
  EXPECT_FALSE(within(60));
  EXPECT_TRUE(choice.waits_for_backfill());
}

TEST_F(RegionChoiceTest, FailsBackWhenTheFirstHasBeenWellForLong) {
  use(1);
  regions[0].well = false;
  EXPECT_FALSE(within(400));
  regions[0].well = true;
  regions[0].well_since_us = now.mono_us;
  EXPECT_FALSE(within(299));
  regions[0].well_since_us = now.mono_us;  // a break: it begins anew
  EXPECT_FALSE(within(299));
  const auto to = within(2);
  ASSERT_TRUE(to);
  EXPECT_EQ(to->to, 0u);
  EXPECT_EQ(to->cause, RegionCause::failback);
}

TEST_F(RegionChoiceTest, DoesNotFailBackBeforeTheOneInUseIsTrusted) {
  use(1);
  in_use.trusted = false;
  EXPECT_FALSE(within(1'000));
}

TEST_F(RegionChoiceTest, ANewOneGetsItsTime) {
  EXPECT_FALSE(within(5));
  goes_out();
  ASSERT_TRUE(within(31));
  use(1);
  goes_out();
  EXPECT_FALSE(within(29));
  EXPECT_TRUE(within(2));
}

TEST_F(RegionChoiceTest, TheOneChosenByHandComesFirst) {
  preferred = 2;
  const auto back = within(301);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->to, 2u);
  use(2);
  EXPECT_FALSE(within(1'000)) << "the first in order is well, and not preferred";
}

TEST_F(RegionChoiceTest, DrainingGoesAtOnceAndByHandToo) {
  choice = RegionChoice({.automatic = false});
  EXPECT_FALSE(within(5));
  goes_out();
  EXPECT_FALSE(within(1'000));
  in_use.drained = true;
  const auto to = within(1);
  ASSERT_TRUE(to);
  EXPECT_EQ(to->to, 1u);
  EXPECT_EQ(to->cause, RegionCause::drained);
}

}  // namespace
}  // namespace stayd
