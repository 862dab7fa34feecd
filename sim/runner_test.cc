// The runner: totals do not depend on how many processes ran the seeds, and a violation is told
// with what repeats it, and made smaller.
#include "sim/runner.h"

#include <gtest/gtest.h>

namespace stayd::sim {
namespace {

RunnerOptions options(unsigned jobs) {
  RunnerOptions options;
  options.world.seed = 100;
  options.world.minutes = 0.1;
  options.seeds = 6;
  options.jobs = jobs;
  return options;
}

TEST(Runner, TotalsDoNotDependOnTheProcesses) {
  std::size_t told = 0;
  const auto count = [&](const SeedResult&) { ++told; };
  const Totals one = run_seeds(options(1), count);
  const Totals three = run_seeds(options(3), count);
  EXPECT_EQ(told, 12U);
  EXPECT_EQ(one.seeds, 6U);
  EXPECT_EQ(one.hash, three.hash);
  EXPECT_EQ(one.events, three.events);
  EXPECT_EQ(one.faults, three.faults);
  EXPECT_EQ(one.violations + three.violations, 0U);
}

// Nobody can answer before being asked: every world of this kind fails.
RunnerOptions failing() {
  RunnerOptions failing = options(1);
  failing.world.users.bound_us = -1;
  failing.world.only_faults = std::set<std::string>{};  // nothing excuses it
  return failing;
}

TEST(Runner, AViolationStopsIt) {
  std::string report;
  const Totals totals = run_seeds(failing(), [&](const SeedResult& r) { report = r.report; });
  EXPECT_EQ(totals.seeds, 1U);
  EXPECT_EQ(totals.violations, 1U);
  EXPECT_NE(report.find("seed 100: operation 0 took"), std::string::npos) << report;
  EXPECT_NE(report.find("./dev sim --seed 100 --minutes 0.1"), std::string::npos) << report;
}

TEST(Runner, AViolationIsMadeSmaller) {
  const WorldOptions smallest = shrink(failing().world, [](const std::string&) {});
  EXPECT_LT(smallest.minutes, 0.05);
  EXPECT_EQ(smallest.users.sessions, 1);
  EXPECT_EQ(smallest.only_faults, std::set<std::string>{});
}

}  // namespace
}  // namespace stayd::sim
