// A story: what the tabs of one session ask, which faults may strike, and the bounds within which
// everything that can happen is tried.
#pragma once

#include <string>
#include <vector>

#include "sim/history.h"

namespace stayd::sim::model {

// One key is all there is.
inline constexpr const char* kKey = "k";

enum class Fault : std::uint8_t {
  lose,       // the connection is lost, and what was on its way to Redis with it
  lose_late,  // the connection is lost, what was on its way to Redis arrives whenever it likes
  restart,    // Redis is killed; it, or a replica in its place, starts with a prefix of its history
  empty,      // ... with nothing
  split,      // a replica with a prefix takes over, the old primary serves its connections on
  flush,      // somebody else sends FLUSHALL
  evict,      // Redis evicts the key
  freeze,     // Redis takes bytes and does nothing, for a while
  kill,       // kill -9 of stayd, which starts again on its ledger
  pause,      // stayd stands still for four seconds
  delay,      // time passes while messages are on their way
};

struct Tab {
  std::vector<Operation> program;
  int instance = 0;
};

struct Story {
  std::string name;
  std::string about;
  std::vector<Tab> tabs;
  std::vector<Fault> faults;  // kinds that may strike
  int ci_faults = 1;          // at most so many in one run, of all kinds together
  int nightly_faults = 2;
  int max_waits = 12;  // times that the clock moves on
  int instances = 1;
  Record initial;  // what Redis holds before stayd has ever run
  // Ledgers that do not know of each other: what they hold at the end is not compared.
  bool weak = false;
};

std::vector<Story> all_stories();
// "kill,lose": kinds by their names in Fault; others are left out.
std::vector<Fault> faults_named(const std::string& names);
// Between them every kind of command.
std::vector<Story> warm_up_stories();

}  // namespace stayd::sim::model
