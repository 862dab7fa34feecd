// The mutants: the engine with one rule missing (core/rules.h), as a mistake could leave it. Each
// must be noticed by the general checks of the simulator, in worlds that are the same for all.
// Constant data.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/rules.h"
#include "sim/world.h"

namespace stayd::sim {

struct Mutant {
  std::string_view name;           // what it gets wrong
  std::string_view rule;           // of docs/architecture.md
  std::vector<bool Rules::*> off;  // more than one where a second line of defence hides the first
  std::vector<std::string> faults = {};  // empty: as drawn; else these kinds, each in every world
  bool slow_answers_count = true;        // false: it must be caught by something else
  std::uint64_t first_seed = 1;          // a search from 1 found its first violation here
  FoundBy found_by = FoundBy::address;
  double minutes = 0.5;  // of faults, simulated
};

const std::vector<Mutant>& mutants();

// The world of `seed`.
WorldOptions mutant_world(const Mutant& mutant, std::uint64_t seed);
// The same world with every rule.
WorldOptions control_world(const Mutant& mutant, std::uint64_t seed);

}  // namespace stayd::sim
