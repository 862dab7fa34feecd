// Where a reader of the feed stands: a place in snapshots (store/backup/snapshot_cursor.h), and of
// each batch that was under way which of its rows were shown, so that one that never ends is not
// shown again and again. Pure; any thread.
//
// Text: "dy1 BASE TARGET PLACE": for each batch under way in the snapshots of PLACE, a mark in
// hexadecimal, "," between them, "-" if there is none.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "store/backup/snapshot_cursor.h"

namespace stayd::dynamo {

// By number: a hash of the keys that the index shows of it. 0: not known.
using Marks = std::map<std::uint64_t, std::uint32_t>;

struct FeedPlace {
  CursorPosition position;
  Marks base, target;
};
std::optional<FeedPlace> parse_place(std::string_view text);
std::string place_text(const FeedPlace& place);

// Of one more key; the order does not matter.
std::uint32_t add_mark(std::uint32_t mark, std::string_view key);
inline constexpr std::uint32_t kNoKeys = 1;
// As many fit a cursor.
inline constexpr std::size_t kMaxMarked = 32;

}  // namespace stayd::dynamo
