// The SQL of the backup in MySQL and MariaDB: docs/formats/backup_mysql.md. Texts only. Valid in
// both: no RETURNING, no alias for the rows of an INSERT.
//
// Every writing transaction takes the one row of `stayd_meta` first, until it commits, so that it
// commits before the next one begins. Its number, the *change*, is one more than the last one's, or
// the time of day in microseconds if that is more: a number that others have seen of a transaction
// that a crash then took back is not given again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace stayd::mysql {

inline constexpr int kSchemaVersion = 1;

// Columns of a row in the order in which row_of() takes them; `value` is the last, and the one that
// may be left out. The same of a host, for host_of().
inline constexpr const char* kHeaderColumns =
    "r.row_key, r.incarnation, r.state, r.through_redis, r.hlc, r.touched_hlc, r.expires_at_ms, "
    "r.created_at_ms, r.tomb_until_ms, r.change_no, r.origin";
inline constexpr unsigned kHeaderColumnCount = 11;
inline constexpr const char* kHostColumns =
    "h.instance, h.name, h.hlc, h.trusts_redis, h.shipped_to, h.seen_ms";

// Bytes as a literal, whatever they are.
void append_quoted(std::string& out, std::string_view bytes);
std::string quoted(std::string_view bytes);
// "(key, key)", ascending, each once; "(NULL)" where there is none.
std::string key_list(std::vector<FullKey> keys);

// Each is one or several statements, with ";" between them and none at the end.
extern const char* const kSessionSettings;
// Two results: LookColumn, and variables of the server by name. Error 1146 where there is no
// schema.
extern const char* const kLook;
enum class LookColumn : unsigned { clock_ms, version, id, era, home, made, has_ring };
extern const char* const kCreateTables;

// A transaction that its client leaves alone for so long is undone: it would hold up all others.
inline constexpr int kMaxPauseSeconds = 2;
// So many results; the last one says the number of this change, and whether the server is
// read-only.
extern const char* const kBegin;
inline constexpr std::size_t kBeginResults = 3;
bool is_on(std::string_view variable);
extern const char* const kCommit;
extern const char* const kUndo;

extern const char* const kClockMs;
std::string hosts();  // columns of a host, and the clock

}  // namespace stayd::mysql
