// Hash slots of Redis Cluster: 16,384 of them, CRC-16 (XMODEM) of the key or of its hash tag, the
// part between the first '{' and the next '}' if there is any. Pure; any thread.
// Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stayd {

inline constexpr int kSlots = 16'384;
using Slot = std::uint16_t;
using SlotSet = std::bitset<kSlots>;  // 2 KB

Slot slot_of(std::string_view key);

// A hash tag, at most 3 letters and digits, whose slot is `slot`: what stands in a key beside it,
// `stayd:{TAG}:...`, is then in that slot, whatever braces the key of a user has.
std::string_view tag_of(Slot slot);

// For people and for facts: "0-5460 5462".
std::string slot_ranges(const SlotSet& slots);
// nullopt: not such ranges.
std::optional<SlotSet> parse_slot_ranges(std::string_view text);

}  // namespace stayd
