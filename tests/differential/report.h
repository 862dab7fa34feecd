// What a difference looks like to who must mend it.
#pragma once

#include <cstdint>
#include <string>

#include "tests/differential/lane.h"

namespace stayd::differential {

struct Report {
  const LaneOptions& options;
  std::uint64_t before;  // commands of all lanes before this episode
  const Group& episode;
  const Difference& difference;
  Script shrunk;  // empty: it did not happen again
};

// The command, the replies, and what was done to its keys before.
void print(const Report& report);
void print_shrunk(const Report& report, const Group& prologue);

}  // namespace stayd::differential
