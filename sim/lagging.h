// What may be told of a key of a fleet while its stayds do not all trust Redis: each of them learns
// within `lag_ms` what the others have done (windows W1, W5 of docs/adr/0016), so what is older
// than that is held against an answer, and nothing else. Who was logged in is, who was logged out
// is not, and no value comes back that was replaced by one that nothing else was written beside.
// Pure; no clock.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "sim/spec.h"

namespace stayd::sim {

inline constexpr std::int64_t kNotAnswered = std::numeric_limits<std::int64_t>::max();

// An operation, as far as it says what the key holds afterwards.
struct Step {
  enum class Does : std::uint8_t { nothing, touches, writes, removes };
  Does does = Does::nothing;
  bool whole = false;  // of a write: nothing of before is left
  std::int64_t asked_ms = 0;
  std::int64_t answered_ms = kNotAnswered;  // it has taken effect by then; or never
  std::int64_t ttl_ms = 0;                  // that it gives the key; 0: none
  std::string value;                        // that tells a write from others; "": none does
};

// Of the commands of one operation, and what it was told ("": nobody knows).
Step step_of(const std::vector<Words>& commands, std::string_view told);

struct Lagging {
  const std::vector<Step>& steps;
  std::int64_t lag_ms = 0;
  std::int64_t slack_ms = 0;  // how far expiry may stray

  // Of a question that was asked and is answered now. "": yes, else why not.
  std::string may_be_absent(std::int64_t asked_ms, std::int64_t now_ms) const;
  std::string may_be_present(std::int64_t asked_ms, std::int64_t now_ms) const;
  std::string may_hold(std::string_view told, std::int64_t asked_ms) const;

 private:
  const Step* last(Step::Does does, std::int64_t until_ms) const;
  bool alone(const Step& step) const;
};

}  // namespace stayd::sim
