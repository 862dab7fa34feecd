// What the clients of one key may be told: every state the key may be in, together with the
// operations that are under way and have taken effect in it (linearizability). Holds nothing of the
// past that cannot matter any more, so that worlds with different pasts may be the same.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/history.h"

namespace stayd::sim::model {

class KeyStates {
 public:
  explicit KeyStates(KeyState initial = {});
  // `id` names the operation until it is answered, or for ever when that stays in doubt.
  void ask(int id, const Operation& operation, std::int64_t now_ms);
  // False: impossible; `why` tells.
  bool answer(int id, std::string_view reply, std::int64_t now_ms, std::string& why);
  // No answer: it may have taken effect, and may still.
  void in_doubt(int id, std::int64_t now_ms);
  // It was certainly not done, or only read.
  void refused(int id);
  // Whether the key may hold `record` now.
  bool may_be(const Record& record, std::int64_t now_ms, std::string& why) const;

 private:
  struct Asked {
    Operation operation;
    std::int64_t asked_ms = 0;
    bool doubtful = false;
  };
  struct Possible {
    KeyState state;
    std::map<int, std::string> done;  // operations under way that took effect: what they answer
  };
  using Possibles = std::map<std::string, Possible>;  // by all they hold, as text

  static void add(Possibles& to, Possible one);
  Possibles closure(std::int64_t now_ms) const;
  void forget_settled();

  std::map<int, Asked> asked_;
  Possibles possibles_;
};

}  // namespace stayd::sim::model
