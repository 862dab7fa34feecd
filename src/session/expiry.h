// Expiry arguments, read as Redis 7.0 reads them: the options of SET and GETEX, and the times and
// flags of the EXPIRE family. Shared by the stand-in and by effects. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "resp/command_table.h"

namespace stayd {

struct TimeUnit {
  bool seconds = false;   // else milliseconds
  bool absolute = false;  // Unix time, else from now
};

enum class ExpiryError : std::uint8_t { none, not_integer, invalid };

struct SetOptions {
  bool nx = false;
  bool xx = false;
  bool get = false;
  bool keep_ttl = false;
  bool persist = false;
  bool has_expiry = false;
  TimeUnit unit;
  std::string_view expiry;
};

enum class OptionsOf : std::uint8_t { set, getex };

// Reads args[3..] of SET or args[2..] of GETEX. False: a syntax error.
bool parse_set_options(const Args& args, OptionsOf command, SetOptions& options);

// The expiry of SET, SETEX, GETEX: must be positive. `at_ms`: Unix milliseconds.
ExpiryError positive_expiry(std::string_view text, TimeUnit unit, std::int64_t wall_ms,
                            std::int64_t& at_ms);

// The time of the EXPIRE family: may be negative or past.
ExpiryError expire_time(std::string_view text, TimeUnit unit, std::int64_t wall_ms,
                        std::int64_t& at_ms);

// NX, XX, GT and LT of the EXPIRE family, from args[3] on.
struct ExpireConditions {
  bool nx = false;
  bool xx = false;
  bool gt = false;
  bool lt = false;
  bool any() const { return nx || xx || gt || lt; }
  // Whether a key that expires at `old_ms` (0: never) may now expire at `new_ms`.
  bool allow(std::int64_t old_ms, std::int64_t new_ms) const;
};
// Returns Redis' error text, empty when good.
std::string parse_expire_conditions(const Args& args, ExpireConditions& conditions);

}  // namespace stayd
