// The SQL of the backup in PostgreSQL: docs/formats/backup.md. Texts only.
//
// A `change` is the era (how often the data has moved to another database or cluster) shifted left
// by kEraBits, plus the number of the transaction that wrote the row. So it needs no sequence and
// no lock, and together with a snapshot tells exactly what has been committed since
// (feed_cursor.h).
#pragma once

#include <string>
#include <vector>

namespace stayd {

inline constexpr int kSchemaVersion = 2;
inline constexpr int kEraBits = 48;
inline constexpr const char* kHintChannel = "stayd_backup";

// Prepared once for each connection, named as the members.
struct PreparedStatement {
  const char* name;
  std::string sql;
};
const std::vector<PreparedStatement>& prepared_statements();

// Columns of a row, in the order in which row_of() takes them.
extern const char* const kRowColumns;
inline constexpr int kRowColumnCount = 12;
// The same of a host, for host_of().
extern const char* const kHostColumns;
inline constexpr int kHostColumnCount = 6;
// How the statement "together" ends a transaction that is not to be.
inline constexpr const char* kNotTogether = "22P02";

// What a session is set to before anything else.
extern const char* const kSessionSettings;

// One row: what is described by LookColumn. Errors with 42P01 or 3F000 where there is no schema.
extern const char* const kLook;
enum class LookColumn : int {
  clock_ms,
  version,
  id,
  era,
  home,         // where the rows were numbered
  actual_home,  // where they are
  timeline,
  writable,
  has_ring,  // values are sealed
};

// Creates the schema as of kSchemaVersion, with an id of its own. In a transaction of its own.
extern const char* const kCreateSchema;
// Makes it of the version before; in that transaction, too.
extern const char* const kUpgradeSchema;

}  // namespace stayd
