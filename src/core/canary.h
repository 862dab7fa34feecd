// The heartbeat's value in Redis: which trust epoch wrote it, a counter, and the log position S up
// to which everything has reached this shard (R11). Text, so that people can read it: "1 EPOCH N S
// WALLMS"; of a shard of a Cluster "2 EPOCH N S WALLMS PLACE TOP", which vouches for the slots of
// that version of its place and of no later one, and tells how far the ledger of all had come; of a
// stayd of a fleet "3 EPOCH N S WALLMS FROM TO": what it has made through Redis after FROM, when it
// came to trust this memory, and up to TO has reached it too, whatever else is owed; both are now
// while it does not trust it (docs/adr/0016).
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
  Hlc from = 0;
  Hlc to = 0;

  // The ledger had come that far, whatever had reached this shard.
  Hlc ledger() const { return std::max(position, top); }

  std::string text() const {
    const bool of_a_shard = place != 0 || top != 0;
    const bool of_a_fleet = from != 0 || to != 0;
    std::string out = of_a_shard ? "2" : of_a_fleet ? "3" : "1";
    for (const std::uint64_t number :
         {std::uint64_t{epoch}, count, position, static_cast<std::uint64_t>(wall_ms)}) {
      out += " " + std::to_string(number);
    }
    if (of_a_shard) out += " " + std::to_string(place) + " " + std::to_string(top);
    if (of_a_fleet && !of_a_shard) out += " " + std::to_string(from) + " " + std::to_string(to);
    return out;
  }

  // nullopt: not a canary of this format.
  static std::optional<Canary> parse(std::string_view text) {
    std::uint64_t numbers[7] = {};
    const char* at = text.data();
    const char* const end = at + text.size();
    const int count = text.starts_with("2 ") || text.starts_with("3 ") ? 7 : 5;
    for (int i = 0; i < count; ++i) {
      const auto [next, failed] = std::from_chars(at, end, numbers[i]);
      if (failed != std::errc{}) return std::nullopt;
      const bool last = i + 1 == count;
      if (!last && (next == end || *next != ' ')) return std::nullopt;
      at = next + (last ? 0 : 1);
    }
    if (at != end || (numbers[0] != 1 && count == 5)) return std::nullopt;
    Canary out;
    out.epoch = static_cast<std::uint32_t>(numbers[1]);
    out.count = numbers[2];
    out.position = numbers[3];
    out.wall_ms = static_cast<std::int64_t>(numbers[4]);
    (numbers[0] == 3 ? out.from : out.place) = numbers[5];
    (numbers[0] == 3 ? out.to : out.top) = numbers[6];
    return out;
  }
};

}  // namespace stayd
