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
#include "sim/lagging.h"
#include "sim/spec.h"

namespace stayd::sim {

// One command, or the commands of one MULTI block.
struct Operation {
  std::vector<Words> commands;
  bool block = false;
  std::string text() const;
  bool writes() const;
};

// What an impossible answer looks like to the user.
enum class Wrong {
  nothing,        // all was possible
  false_logout,   // absent, and the session lives
  resurrection,   // there, and the session was logged out or has expired
  foreign_value,  // a value that was never written under this key
  old_value,      // a value, or a part of it, that has been replaced
  wrong_reply     // anything else: a count, a lock given twice
};
std::string_view name_of(Wrong wrong);

class KeyHistory {
 public:
  // The key's content before the first operation.
  void start_with(KeyState state);
  // A number that names the operation in the calls below.
  int ask(Operation operation, int client, std::int64_t now_ms);
  // False: impossible; `why()` tells.
  bool answer(int id, std::string_view reply, std::int64_t now_ms);
  // The same for a reply in the form of `normalise`.
  bool answer_text(int id, std::string text, std::int64_t now_ms);
  // It was done; what it answered does not matter.
  void done(int id, std::int64_t now_ms);
  // No answer, or an error: it may have taken effect, and may still.
  void in_doubt(int id, std::string_view note, std::int64_t now_ms);
  // It was certainly not done. False: impossible.
  bool refused(int id, std::string_view note, std::int64_t now_ms);
  // Something worth a line in the readable history.
  void note(std::string text, std::int64_t now_ms);
  // Whether the key may hold `record` at the end, after all that was asked. `why()` tells.
  bool may_be(const std::optional<Record>& record, std::int64_t now_ms, std::string_view where);

  // From now on only this is checked: no value is told that nobody wrote under the key (I11). For
  // what a documented window leaves open; `why` says which.
  void loosen(std::string_view why, std::int64_t now_ms);
  bool loose() const { return loose_; }
  // From now on only what is older than `lag_ms` is held against an answer (lagging.h).
  void follow_with_lag(std::int64_t lag_ms, std::string_view why, std::int64_t now_ms);
  bool lags() const { return lag_ms_ != 0; }
  // What was answered since then may be lost: with the stayd that has done it.
  void unsure_since(std::int64_t since_ms);
  std::int64_t last_asked_ms() const { return asked_.empty() ? 0 : asked_.back().asked_ms; }
  // Whether a logout may have left a fence (R8), which only the ledger knows.
  bool may_be_fenced() const;
  // I10: how far expiry may stray where the clocks of hosts differ by more than usual.
  void set_expiry_slack(std::int64_t slack_ms) { slack_ms_ = slack_ms; }

  // Too many operations in doubt: nothing is checked any more.
  bool given_up() const { return given_up_; }
  void give_up() { given_up_ = true; }
  int open() const { return open_; }
  const std::string& why() const { return why_; }
  // What the first impossible answer was.
  Wrong wrong() const { return wrong_; }
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
    std::size_t hash = 0;
  };
  static bool same(const World& a, const World& b);
  static std::size_t hash_of(const World& world);
  void add(std::vector<World>& worlds, World world) const;
  // Every world reachable by letting pending operations take effect by `now_ms`.
  std::vector<World> closure(std::int64_t now_ms) const;
  void line(std::int64_t now_ms, std::string text);
  bool answer_loosely(int id, const std::string& text, std::int64_t now_ms);
  bool answer_lagging(int id, const std::string& text, std::int64_t now_ms);
  bool may_be_lagging(const std::optional<Record>& record, std::int64_t now_ms,
                      std::string_view where);
  bool impossible(Wrong wrong, std::string why, std::int64_t now_ms);
  Wrong judge(const std::string& told, const std::vector<std::string>& possible) const;
  bool was_written(const std::string& told) const;

  std::vector<Asked> asked_;
  std::vector<Step> steps_;  // of them
  std::vector<int> pending_;
  std::vector<World> worlds_{World{}};
  std::vector<std::string> lines_;
  std::string why_;
  Wrong wrong_ = Wrong::nothing;
  std::string at_first_;  // a string's value before the first operation
  std::int64_t slack_ms_ = kExpirySlackMs;
  bool loose_ = false;
  std::int64_t lag_ms_ = 0;
  bool given_up_ = false;
  int open_ = 0;
};

}  // namespace stayd::sim
