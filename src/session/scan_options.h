// The arguments of SCAN, HSCAN, SSCAN and ZSCAN, with Redis' error texts. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "resp/request_parser.h"

namespace stayd {

struct ScanOptions {
  std::string_view pattern = "*";
  std::optional<std::string_view> type;  // of SCAN only; any letter case
  std::int64_t count = 10;

  bool match(std::string_view name) const;
};

// False: Redis would say kInvalidCursor.
bool parse_scan_cursor(std::string_view text, std::uint64_t& cursor);
inline constexpr std::string_view kInvalidCursor = "ERR invalid cursor";

// The options from args[from] on; TYPE is one only for `keys`. Redis' error, or "". The options
// point into `args`.
std::string_view parse_scan_options(const Args& args, std::size_t from, bool keys,
                                    ScanOptions& options);

}  // namespace stayd
