// What clients did and were told, key by key, checked against what one correct Redis could have
// answered (linearizability). One check covers: no false logout, no resurrection, no foreign value,
// read-your-writes, monotonic reads, INCR exactly once, no partial hash.
//
// For each key the checker holds every state the key may be in, together with the operations that
// were asked, not answered, and already took effect in that state. A reply keeps the states that
// allow it; when none is left, the history is impossible. Operations answered in doubt stay
// pending for ever. Deterministic; no I/O.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "session/record.h"

namespace stayd::sim {

using Words = std::vector<std::string>;

// One command, or the commands of one MULTI block.
struct Operation {
  std::vector<Words> commands;
  bool block = false;
  std::string text() const;
  bool writes() const;
};

// How far the truth about expiry may stray (I10): the clocks' difference and coalesced touches.
inline constexpr std::int64_t kExpirySlackMs = 600;

// One state a key may be in. Expiry is an interval: a TTL starts somewhere between the question and
// the answer. 0, 0: no expiry.
struct KeyState {
  Record record;
  std::int64_t expires_from_ms = 0, expires_to_ms = 0;
  bool operator==(const KeyState&) const = default;
};

// The reply a correct Redis gives, in the form of `normalise`; changes the state. Time lies within
// [from_ms, to_ms].
std::string apply_spec(KeyState& state, const Words& command, std::int64_t from_ms,
                       std::int64_t to_ms);
// A RESP3 reply as text; hashes sorted by field; the elements of a block joined by spaces.
std::string normalise(std::string_view reply);

class KeyHistory {
 public:
  // The key's content before the first operation.
  void start_with(KeyState state);
  // A number that names the operation in the calls below.
  int ask(Operation operation, int client, std::int64_t now_ms);
  // False: impossible; `why()` tells.
  bool answer(int id, std::string_view reply, std::int64_t now_ms);
  // It was done; what it answered does not matter.
  void done(int id, std::int64_t now_ms);
  // No answer, or an error: it may have taken effect, and may still.
  void in_doubt(int id, std::string_view note, std::int64_t now_ms);
  // It was certainly not done.
  void refused(int id, std::string_view note, std::int64_t now_ms);
  // Something worth a line in the readable history.
  void note(std::string text, std::int64_t now_ms);
  // Whether the key may hold `record` at the end, after all that was asked. `why()` tells.
  bool may_be(const std::optional<Record>& record, std::int64_t now_ms, std::string_view where);

  // Too many operations in doubt: nothing is checked any more.
  bool given_up() const { return given_up_; }
  void give_up() { given_up_ = true; }
  int open() const { return open_; }
  const std::string& why() const { return why_; }
  std::string text() const;

 private:
  struct Asked {
    Operation operation;
    int client = 0;
    std::int64_t asked_ms = 0;
    bool doubtful = false;  // its reply is nobody's business
  };
  struct World {
    KeyState state;
    std::vector<int> done;             // pending operations that took effect, sorted
    std::vector<std::string> replies;  // and what they answered, in the same order
  };
  static bool same(const World& a, const World& b);
  void add(std::vector<World>& worlds, World world) const;
  // Every world reachable by letting pending operations take effect by `now_ms`.
  std::vector<World> closure(std::int64_t now_ms) const;
  void line(std::int64_t now_ms, std::string text);

  std::vector<Asked> asked_;
  std::vector<int> pending_;
  std::vector<World> worlds_{World{}};
  std::vector<std::string> lines_;
  std::string why_;
  bool given_up_ = false;
  int open_ = 0;
};

}  // namespace stayd::sim
