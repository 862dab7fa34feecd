#include "session/scan_options.h"

#include "resp/command_table.h"
#include "resp/numbers.h"
#include "session/glob.h"

namespace stayd {

bool ScanOptions::match(std::string_view name) const {
  return pattern == "*" || element_matches(pattern, name);
}

bool parse_scan_cursor(std::string_view text, std::uint64_t& cursor) {
  // strtoul: an optional sign, then digits; nothing at all is 0.
  const bool negative = !text.empty() && text[0] == '-';
  if (negative || (!text.empty() && text[0] == '+')) {
    text.remove_prefix(1);
    if (text.empty()) return false;
  }
  cursor = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9' || __builtin_mul_overflow(cursor, 10U, &cursor) ||
        __builtin_add_overflow(cursor, static_cast<std::uint64_t>(digit - '0'), &cursor)) {
      return false;
    }
  }
  if (negative) cursor = -cursor;
  return true;
}

std::string_view parse_scan_options(const Args& args, std::size_t from, bool keys,
                                    ScanOptions& options) {
  for (std::size_t i = from; i < args.size(); i += 2) {
    const bool has_value = i + 1 < args.size();
    if (has_value && equals_ignore_case(args[i], "count")) {
      if (!parse_integer(args[i + 1], options.count)) {
        return "ERR value is not an integer or out of range";
      }
      if (options.count < 1) return "ERR syntax error";
    } else if (has_value && equals_ignore_case(args[i], "match")) {
      options.pattern = args[i + 1];
    } else if (has_value && keys && equals_ignore_case(args[i], "type")) {
      options.type = args[i + 1];
    } else {
      return "ERR syntax error";
    }
  }
  return {};
}

}  // namespace stayd
