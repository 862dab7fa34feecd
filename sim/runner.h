// Runs many seeds on several processes, and gathers what they report. A process of its own for the
// worlds, so that an assertion in one of them is a result like another and not the end of all.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "sim/world.h"

namespace stayd::sim {

struct SeedResult {
  std::uint64_t seed = 0;
  bool good = false;
  std::uint64_t events = 0;
  std::uint64_t commands = 0;
  std::uint64_t hash = 0;
  std::uint64_t slowest_us = 0;
  std::map<std::string, std::uint64_t> faults;  // how often each kind has happened
  std::string report;                           // of a violation
};

struct RunnerOptions {
  WorldOptions world;  // its seed is the first one
  std::uint64_t seeds = 1;
  unsigned jobs = 1;        // processes at a time
  unsigned limit_s = 0;     // no new seed after so many seconds; 0: no limit
  bool keep_going = false;  // after a violation
};

struct Totals {
  std::uint64_t seeds = 0, events = 0, commands = 0, violations = 0;
  std::uint64_t hash = 0;  // of the seeds' hashes, in their order
  std::map<std::string, std::uint64_t> faults;
};

// `told` hears of each seed as it ends. The totals do not depend on which process ran what.
Totals run_seeds(const RunnerOptions& options, const std::function<void(const SeedResult&)>& told);

// The smallest world found that still fails, by leaving out one thing after the other. `said` hears
// of each step. Requires that `failing` fails.
WorldOptions shrink(WorldOptions failing, const std::function<void(const std::string&)>& said);

}  // namespace stayd::sim
