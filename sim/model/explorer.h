// Tries everything that can happen in a story: depth first over all steps of its world, each world
// once. What it means that nothing was found: docs/proof/model.md.
//
// Uses the process's one arena: one exploration at a time.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "core/context.h"
#include "sim/model/story.h"
#include "sim/model/world.h"

namespace stayd::sim::model {

struct Limits {
  int max_faults = 1;                     // of all kinds together, in one run
  std::uint64_t max_states = 50'000'000;  // then it gives up: not complete. 16 bytes each
  bool raw = false;                       // for tests: worlds are the same only when every byte is
  bool replies = false;                   // for tests: gather what could be told
};

struct Result {
  std::uint64_t states = 0;       // worlds in which more than one thing could happen
  std::uint64_t transitions = 0;  // steps taken
  bool complete = true;           // nothing was left out
  std::string violation;          // empty: none
  // Everything that could be told to the tabs at the end of a run: "tab:command=reply ..." sorted.
  std::set<std::string> replies;
  std::vector<Step> steps;  // to it, with all that can be left out left out
  std::string narrative;    // the same for people, numbered
};

Result explore(const Story& story, const EngineOptions& options, const Limits& limits);

}  // namespace stayd::sim::model
