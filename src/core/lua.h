// The scripts stayd runs in Redis, and the requests that call them. Each is O(size of one key).
// They are loaded at the start of every connection and called by their SHA1.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "resp/reply.h"
#include "resp/request_parser.h"
#include "session/record.h"

namespace stayd {

// Appends SCRIPT LOAD for every script; returns how many requests that is.
int append_script_loads(std::string& out, bool of_fleet = false);

// R15: run `args` only if its key exists; otherwise the error STAYDMISS. At most kMaxGuardedArgs.
inline constexpr std::size_t kMaxGuardedArgs = 4000;
void append_guarded(std::string& out, std::string_view key, const Args& args);

// R11: if the stored value is `expected` (empty: none), store `next`. Reply: 1, or the value found
// (null when missing). An OOM, MISCONF or NOREPLICAS error means: found as expected, not written.
void append_heartbeat(std::string& out, std::string_view key, std::string_view expected,
                      std::string_view next);

// R7: if the lease is ours, write the row's value with its absolute expiry and drop the lease.
// Reply: 0 the lease is not ours, 1 written, 2 the key exists and `only_if_absent` was asked for.
void append_repair(std::string& out, std::string_view key, std::string_view lease,
                   std::string_view token, const Record& record, std::int64_t expires_at_ms,
                   bool only_if_absent, bool if_unchanged = false);

// B8 (docs/adr/0016): takes the lease, if it is free or `owner`'s own, which an earlier connection
// may have left. Reply: a digest of what the key holds, empty if there is none; null: it is not
// free. For append_repair(..., if_unchanged) the token is then OWNER TOKEN:DIGEST, without blanks:
// it writes if the key holds the same still. A record without value removes the key.
void append_lease(std::string& out, std::string_view key, std::string_view lease,
                  std::string_view token, std::string_view owner, std::int64_t ttl_ms);

// Reads one key's whole state: type, absolute expiry, value (DUMP payload for types of no
// interest).
void append_read_back(std::string& out, std::string_view key);
// nullopt: not a read-back reply (an error). A key that does not exist is a Record without value.
std::optional<Record> parse_read_back(const ReplyView& reply, std::int64_t redis_offset_ms);

}  // namespace stayd
