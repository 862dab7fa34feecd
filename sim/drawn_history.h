// Histories for the test of the checker: right ones, drawn from a seed and the spec, and a second
// opinion on any history that simply tries every order of its operations. Pure; times are drawn.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "sim/history.h"

namespace stayd::sim {

enum class DrawnKind { string, brief, hash, lock, counter };  // brief: lives for three seconds

struct Drawn {
  Operation operation;
  int client = 0;
  std::int64_t ask_ms = 0, end_ms = 0;
  bool doubtful = false;  // nobody was told anything
  bool unknown = false;   // refused with UNKNOWN: certainly not done
  std::string told;       // as `normalise` writes it
  const std::string& name() const { return operation.commands[0][0]; }
};

// Sorted by the time of asking.
struct DrawnHistory {
  DrawnKind kind = DrawnKind::string;
  std::vector<Drawn> operations;
};

// Up to three clients, each with one operation at a time.
DrawnHistory draw_history(Random& random, DrawnKind kind, int operations);
// Feeds it to a checker. False: impossible.
bool accepts(KeyHistory& checker, const DrawnHistory& history);
// Whether some order of the operations explains what was told; expiry is judged a little more
// leniently than by the checker. For short histories: it takes n! steps.
bool some_order_explains(const DrawnHistory& history);

}  // namespace stayd::sim
