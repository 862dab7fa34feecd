// Where a reader of the feed stands. Transactions commit in the order of their changes
// (statements.h), so whoever has seen a change has been able to see all before it, and a place is
// the last row shown, in the order of (change, key). Pure; any thread.
//
// Text: "my1 EPOCH CHANGE", everything up to CHANGE has been seen; between pages
// "my1 EPOCH CHANGE KEY", KEY in hex: of CHANGE only what is not behind KEY.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stayd::mysql {

struct CursorPosition {
  std::string epoch;
  std::uint64_t change = 0;
  std::optional<std::string> key;
};

std::optional<CursorPosition> parse_cursor(std::string_view text);
std::string cursor_text(const CursorPosition& position);

}  // namespace stayd::mysql
