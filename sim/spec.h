// What one correct Redis does with one key: the commands that users of the simulator and of the
// chaos runs send, on values. Pure; no clock: expiry is an interval around the time of the
// question.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "session/record.h"

namespace stayd::sim {

using Words = std::vector<std::string>;

// How far the truth about expiry may stray (I10): the clocks' difference and coalesced touches.
inline constexpr std::int64_t kExpirySlackMs = 600;

// One state a key may be in. Expiry is an interval: a TTL starts somewhere between the question and
// the answer. 0, 0: no expiry.
struct KeyState {
  Record record;
  std::int64_t expires_from_ms = 0, expires_to_ms = 0;
  // Under a fence `forever` (R8) a session that was logged out is opened again only by NX; `maybe`:
  // DEL of a session that was not there.
  enum class Grave : std::uint8_t { none, maybe, sure };
  bool fenced = false;
  Grave grave = Grave::none;
  bool operator==(const KeyState&) const = default;
};

// The key is gone.
KeyState without_value(const KeyState& state, KeyState::Grave grave = KeyState::Grave::none);
// The reply a correct Redis gives, in the form of `normalise`; changes the state. Time lies within
// [from_ms, to_ms].
std::string apply_spec(KeyState& state, const Words& command, std::int64_t from_ms,
                       std::int64_t to_ms);
// A RESP3 reply as text; hashes sorted by field; the elements of a block joined by spaces.
std::string normalise(std::string_view reply);

}  // namespace stayd::sim
