#include "session/expiry.h"

#include <limits>

#include "session/numbers.h"

namespace stayd {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();

bool unit_of(std::string_view word, TimeUnit& unit) {
  if (equals_ignore_case(word, "ex")) {
    unit = {.seconds = true, .absolute = false};
  } else if (equals_ignore_case(word, "px")) {
    unit = {.seconds = false, .absolute = false};
  } else if (equals_ignore_case(word, "exat")) {
    unit = {.seconds = true, .absolute = true};
  } else if (equals_ignore_case(word, "pxat")) {
    unit = {.seconds = false, .absolute = true};
  } else {
    return false;
  }
  return true;
}

// Redis takes a repeated option when it is the same one again, and the last time wins.
bool take_expiry(TimeUnit unit, std::string_view value, SetOptions& options) {
  if (options.keep_ttl || options.persist) return false;
  if (options.has_expiry &&
      (unit.seconds != options.unit.seconds || unit.absolute != options.unit.absolute)) {
    return false;
  }
  options.has_expiry = true;
  options.unit = unit;
  options.expiry = value;
  return true;
}

bool take_set_word(std::string_view word, SetOptions& options) {
  if (equals_ignore_case(word, "nx") && !options.xx) return options.nx = true;
  if (equals_ignore_case(word, "xx") && !options.nx) return options.xx = true;
  if (equals_ignore_case(word, "get")) return options.get = true;
  if (equals_ignore_case(word, "keepttl") && !options.has_expiry) return options.keep_ttl = true;
  return false;
}

}  // namespace

bool parse_set_options(const Args& args, OptionsOf command, SetOptions& options) {
  const bool set = command == OptionsOf::set;
  for (std::size_t i = set ? 3 : 2; i < args.size(); ++i) {
    TimeUnit unit;
    if (i + 1 < args.size() && unit_of(args[i], unit)) {
      if (!take_expiry(unit, args[++i], options)) return false;
    } else if (set) {
      if (!take_set_word(args[i], options)) return false;
    } else if (equals_ignore_case(args[i], "persist") && !options.has_expiry) {
      options.persist = true;
    } else {
      return false;
    }
  }
  return true;
}

ExpiryError positive_expiry(std::string_view text, TimeUnit unit, std::int64_t wall_ms,
                            std::int64_t& at_ms) {
  std::int64_t value = 0;
  if (!parse_integer(text, value)) return ExpiryError::not_integer;
  if (value <= 0 || (unit.seconds && value > kMax / 1000)) return ExpiryError::invalid;
  if (unit.seconds) value *= 1000;
  if (!unit.absolute && __builtin_add_overflow(value, wall_ms, &value)) return ExpiryError::invalid;
  at_ms = value;
  return ExpiryError::none;
}

ExpiryError expire_time(std::string_view text, TimeUnit unit, std::int64_t wall_ms,
                        std::int64_t& at_ms) {
  std::int64_t value = 0;
  if (!parse_integer(text, value)) return ExpiryError::not_integer;
  if (unit.seconds) {
    if (value > kMax / 1000 || value < kMin / 1000) return ExpiryError::invalid;
    value *= 1000;
  }
  if (!unit.absolute && __builtin_add_overflow(value, wall_ms, &value)) return ExpiryError::invalid;
  at_ms = value;
  return ExpiryError::none;
}

bool ExpireConditions::allow(std::int64_t old_ms, std::int64_t new_ms) const {
  if (nx && old_ms != 0) return false;
  if (xx && old_ms == 0) return false;
  if (gt && (old_ms == 0 || new_ms <= old_ms)) return false;
  return !(lt && old_ms != 0 && new_ms >= old_ms);
}

std::string parse_expire_conditions(const Args& args, ExpireConditions& conditions) {
  for (std::size_t i = 3; i < args.size(); ++i) {
    if (equals_ignore_case(args[i], "nx")) {
      conditions.nx = true;
    } else if (equals_ignore_case(args[i], "xx")) {
      conditions.xx = true;
    } else if (equals_ignore_case(args[i], "gt")) {
      conditions.gt = true;
    } else if (equals_ignore_case(args[i], "lt")) {
      conditions.lt = true;
    } else {
      // Redis prints it as a C string.
      return "ERR Unsupported option " + std::string(args[i].substr(0, args[i].find('\0')));
    }
  }
  if (conditions.nx && (conditions.xx || conditions.gt || conditions.lt)) {
    return "ERR NX and XX, GT or LT options at the same time are not compatible";
  }
  if (conditions.gt && conditions.lt) {
    return "ERR GT and LT options at the same time are not compatible";
  }
  return {};
}

}  // namespace stayd
