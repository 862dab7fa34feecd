// The random script of the differential test: commands of session libraries, good, odd and wrong,
// over a few keys of every type in two databases. Seeded; pure; single thread.
//
// Nothing expires on its own while it runs, and no comparison of two times (EXPIRE ... GT) is
// close: relative times are unique multiples of 1,000 s plus 50 s, absolute ones multiples of 1,000
// s.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "session/random_commands_test.h"

namespace stayd::differential {

using Words = std::vector<std::string>;

struct Step {
  Words words;
  // Sent before it, and never answered: CLIENT REPLY sees to that.
  std::vector<Words> unanswered = {};
};
// What makes sense only together; shrinking leaves it out as a whole.
using Group = std::vector<Step>;
using Script = std::vector<Group>;

struct ScriptOptions {
  std::uint64_t seed = 1;
  std::int64_t start_ms = 0;   // unix time
  int first_db = 0;            // this one and the next are the script's own
  bool every_command = false;  // also lists, streams, flushes: what only Redis answers
  // Redis is killed meanwhile: no WATCH, whose EXEC may say null, and no EVALSHA, which a Redis
  // that has been restarted does not know.
  bool faults = false;
  // In front of a Cluster, "{3}": every key begins with it, so that all are in one slot, and
  // nothing is about databases or about all keys.
  std::string tag = {};
};

class ScriptWriter final : private testing::RandomCommands {
 public:
  explicit ScriptWriter(const ScriptOptions& options);

  // Random groups with at least `steps` steps.
  Script groups(std::size_t steps);
  // Empties both databases (or the one of a Cluster), and chooses the protocol: 2 or 3.
  Group prologue(int protocol) const;
  // Reads all there is.
  Group state() const;

 private:
  std::string key(const Words& words) override;
  std::string value() override;
  std::string time(char kind) override;

  Group group();
  void add_plain(Group& group);
  void add_to_block(Group& group);
  void add(Group& group, Words words);
  bool fits(const Words& words) const;
  Words own_keys() const;
  Words from(const std::string& pattern);
  Group block();
  Group keyspace();
  Group connection();
  Group big();
  Group wrong();
  Group full_scan();
  Group only_redis();

  ScriptOptions options_;
  std::uint64_t times_ = 0;
};

}  // namespace stayd::differential
