#include "store/mysql/statements.h"

#include <fmt/format.h>

#include <algorithm>

#include "store/backup/backup.h"

namespace stayd::mysql {

void append_quoted(std::string& out, std::string_view bytes) {
  out += "_binary'";
  for (const char c : bytes) {
    if (c == '\0') {
      out += "\\0";
      continue;
    }
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  out += '\'';
}

std::string quoted(std::string_view bytes) {
  std::string out;
  append_quoted(out, bytes);
  return out;
}

std::string key_list(std::vector<FullKey> keys) {
  if (keys.empty()) return "(NULL)";
  std::ranges::sort(keys);
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  std::string out = "(";
  for (const FullKey& key : keys) {
    if (out.size() > 1) out += ',';
    append_quoted(out, key);
  }
  return out + ")";
}

bool is_on(std::string_view variable) {
  return !variable.empty() && variable != "OFF" && variable != "0";
}

#define STAYD_CLOCK_MS "CAST(FLOOR(UNIX_TIMESTAMP(SYSDATE(6)) * 1000) AS SIGNED)"
const char* const kClockMs = STAYD_CLOCK_MS;

// net_..._timeout: a stayd that is gone in the middle of a packet holds nobody up for long either.
// MariaDB makes a join of a long IN list, which is slower here; MySQL skips that comment.
const char* const kSessionSettings =
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'; "
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; SET NAMES binary; "
    "SET SESSION autocommit = 1, SESSION time_zone = '+00:00', "
    "SESSION innodb_lock_wait_timeout = 5, SESSION lock_wait_timeout = 5, "
    "SESSION wait_timeout = 28800, SESSION net_read_timeout = 5, SESSION net_write_timeout = 5"
    "/*M!100300 , SESSION in_predicate_conversion_threshold = 0 */";

const char* const kLook =
    "SELECT " STAYD_CLOCK_MS
    ", m.version, m.id, m.era, m.home, (SELECT DATE_FORMAT(t.create_time, '%Y%m%d%H%i%s') "
    "FROM information_schema.tables t WHERE t.table_schema = DATABASE() "
    "AND t.table_name = 'stayd_meta'), EXISTS(SELECT 1 FROM stayd_keys) FROM stayd_meta m; "
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN "
    "('server_uuid', 'server_id', 'read_only', 'super_read_only', 'max_allowed_packet')";

const char* const kCreateTables = R"(
CREATE TABLE IF NOT EXISTS stayd_rows (
  row_key VARBINARY(1024) NOT NULL PRIMARY KEY,
  incarnation INT UNSIGNED NOT NULL,
  state TINYINT NOT NULL,
  through_redis BOOLEAN NOT NULL,
  hlc BIGINT NOT NULL,
  touched_hlc BIGINT NOT NULL,
  expires_at_ms BIGINT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  tomb_until_ms BIGINT NOT NULL,
  change_no BIGINT NOT NULL,
  origin BIGINT UNSIGNED NOT NULL,
  value_bytes INT UNSIGNED NOT NULL DEFAULT 0,
  value LONGBLOB NULL,
  KEY stayd_rows_change (change_no, row_key, value_bytes)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;
CREATE TABLE IF NOT EXISTS stayd_hosts (
  instance BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  name VARBINARY(255) NOT NULL,
  hlc BIGINT NOT NULL,
  trusts_redis BOOLEAN NOT NULL,
  shipped_to BIGINT NOT NULL,
  seen_ms BIGINT NOT NULL
) ENGINE = InnoDB;
CREATE TABLE IF NOT EXISTS stayd_keys (
  one TINYINT NOT NULL PRIMARY KEY,
  ring BLOB NOT NULL
) ENGINE = InnoDB;
CREATE TABLE IF NOT EXISTS stayd_meta (
  one TINYINT NOT NULL PRIMARY KEY,
  version INT NOT NULL,
  id VARBINARY(64) NOT NULL,
  era INT NOT NULL,
  home VARBINARY(255) NOT NULL,
  last_change BIGINT NOT NULL
) ENGINE = InnoDB)";

const char* const kBegin =
    "SET SESSION wait_timeout = 2; START TRANSACTION; "
    "SELECT GREATEST(last_change + 1, CAST(FLOOR(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000) AS SIGNED)),"
    " @@global.read_only FROM stayd_meta WHERE one = 1 FOR UPDATE";
static_assert(kMaxPauseSeconds == 2);
const char* const kCommit = "COMMIT; SET SESSION wait_timeout = 28800";
const char* const kUndo = "ROLLBACK; SET SESSION wait_timeout = 28800";

std::string hosts() {
  return fmt::format(
      "SELECT {0}, c.clock_ms FROM (SELECT {1} AS clock_ms) c LEFT JOIN stayd_hosts h "
      "ON h.seen_ms > c.clock_ms - {2} ORDER BY h.instance",
      kHostColumns, kClockMs, kHostSeenMs);
}

}  // namespace stayd::mysql
