// One thread's share of the script: episodes, each beginning with two empty databases, sent to all
// servers at once and compared with the first of them, redis-server itself. A difference is
// searched for its shortest cause, if it happens again.
//
//   ScriptWriter ──▶ batches ──▶ redis ─────┐
//                            ├─▶ stayd ─────┼──▶ Judge of each ──▶ difference ──▶ shrink ──▶ report
//                            └─▶ stand-in ──┘
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/differential/judge.h"
#include "tests/differential/peer.h"
#include "tests/differential/script.h"

namespace stayd::differential {

struct Server {
  std::string name;
  std::uint16_t port = 0;
  JudgeOptions judge;
};

struct LaneOptions {
  ScriptOptions script;
  std::vector<Server> servers;  // the first one is right
  bool repeatable = true;       // false: faults are under way, a difference may not come again
};

// What the lanes of one run share.
struct Progress {
  std::uint64_t target = 0;  // commands
  std::atomic<std::uint64_t> commands{0};
  std::atomic<std::uint64_t> unknown{0};  // episodes that ended early: a server did not know
  std::atomic<bool> stop{false};
  std::mutex report;  // the first difference ends the run
};

struct Difference {
  std::size_t at = 0;      // the command's number in the script
  std::size_t server = 0;  // whose reply it is
  std::string what;
  std::vector<std::string> replies;  // of every server
};

class Lane {
 public:
  Lane(LaneOptions options, Progress& progress);

  // Until the target is reached or somebody found a difference. False: this lane did, and told.
  // Throws when a server ends its connection.
  bool run();
  // Whether all that the servers hold now is the same.
  bool same_state();

 private:
  std::vector<Peer> connect() const;
  std::optional<Difference> play(std::vector<Peer>& peers, const Group& steps);
  std::size_t unjudged() const;
  Script shrink(const Group& prologue, Script script, Difference& difference);

  LaneOptions options_;
  Progress& progress_;
  ScriptWriter writer_;
  Random random_;
};

}  // namespace stayd::differential
