// The argument of SELECT. Pure; any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "base/types.h"
#include "resp/numbers.h"

namespace stayd {

// nullopt: Redis refuses it, see select_error().
inline std::optional<std::uint8_t> database_number(std::string_view text) {
  std::int64_t number = 0;
  if (!parse_integer(text, number) || number < 0 || number >= kDatabases) return std::nullopt;
  return static_cast<std::uint8_t>(number);
}

// Redis' refusal, or "", where there are `databases` of them.
inline std::string_view select_error(std::string_view text, int databases = kDatabases) {
  using Int = std::numeric_limits<int>;
  std::int64_t number = 0;
  if (!parse_integer(text, number)) return "ERR value is not an integer or out of range";
  if (number < Int::min() || number > Int::max()) {
    return "ERR value is out of range, value must between -2147483648 and 2147483647";
  }
  return number >= 0 && number < databases ? "" : "ERR DB index is out of range";
}

}  // namespace stayd
