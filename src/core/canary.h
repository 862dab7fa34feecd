// The heartbeat's value in Redis: which trust epoch wrote it, a counter, and the log position S up
// to which everything has reached this shard (R11). Text, so that people can read it: "1 EPOCH N S
// WALLMS"; of a shard of a Cluster "2 EPOCH N S WALLMS PLACE TOP", which vouches for the slots of
// that version of its place and of no later one, and tells how far the ledger of all had come.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/types.h"

namespace stayd {

struct Canary {
  std::uint32_t epoch = 0;
  std::uint64_t count = 0;
  Hlc position = 0;
  std::int64_t wall_ms = 0;
  std::uint64_t place = 0;
  Hlc top = 0;

  // The ledger had come that far, whatever had reached this shard.
  Hlc ledger() const { return std::max(position, top); }

  std::string text() const {
    const bool of_a_shard = place != 0 || top != 0;
    return (of_a_shard ? "2 " : "1 ") + std::to_string(epoch) + " " + std::to_string(count) + " " +
           std::to_string(position) + " " + std::to_string(wall_ms) +
           (of_a_shard ? " " + std::to_string(place) + " " + std::to_string(top) : "");
  }

  // nullopt: not a canary of this format.
  static std::optional<Canary> parse(std::string_view text) {
    std::uint64_t numbers[7] = {};
    const char* at = text.data();
    const char* const end = at + text.size();
    const int count = text.starts_with("2 ") ? 7 : 5;
    for (int i = 0; i < count; ++i) {
      const auto [next, failed] = std::from_chars(at, end, numbers[i]);
      if (failed != std::errc{}) return std::nullopt;
      const bool last = i + 1 == count;
      if (!last && (next == end || *next != ' ')) return std::nullopt;
      at = next + (last ? 0 : 1);
    }
    if (at != end || (numbers[0] != 1 && count == 5)) return std::nullopt;
    return Canary{static_cast<std::uint32_t>(numbers[1]), numbers[2], numbers[3],
                  static_cast<std::int64_t>(numbers[4]),  numbers[5], numbers[6]};
  }
};

}  // namespace stayd
