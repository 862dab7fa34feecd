// The Lua scripts that session libraries really send, known by the SHA1 of
// their text, executed natively by the stand-in and mirrored without reading back.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "resp/request_parser.h"

namespace stayd {

enum class KnownScript : unsigned char {
  compare_and_delete,    // phpredis, Laravel, redis-py Lock release
  compare_and_expire,    // redis-py Lock reacquire
  compare_and_extend,    // redis-py Lock extend: ARGV[3] "0" adds to the time left
  incr_with_expiry,      // better-auth
  get_and_delete,        // better-auth
  expire_all,            // Redisson pexpire over KEYS, with an option in ARGV[2] if not empty
  expire_at_all,         // Redisson pexpireat over KEYS, likewise
  persist_all,           // Redisson clearExpire
  hash_set_with_expiry,  // ASP.NET <= 7
};

// `sha1`: 40 hex digits, any case.
std::optional<KnownScript> known_script_by_sha1(std::string_view sha1);
std::optional<KnownScript> known_script_by_text(std::string_view text);
std::string sha1_hex(std::string_view text);

// Redis' error about the number of keys of EVAL and EVALSHA, or "". Requires: the arity fits.
std::string_view script_keys_error(const Args& args);
// The error for a script that only Redis could run: Redis' own where the arguments are wrong or the
// script may have to be loaded (EVALSHA), else that it cannot run.
std::string_view script_refusal(const Args& args);

}  // namespace stayd
