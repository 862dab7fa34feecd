#include "store/postgres/statements.h"

#include <fmt/format.h>

namespace stayd {

const char* const kRowColumns =
    "r.key, r.incarnation, r.state, r.through_redis, r.hlc, r.touched_hlc, r.expires_at_ms, "
    "r.created_at_ms, r.tomb_until_ms, r.change, r.origin, r.value";

const char* const kHostColumns =
    "h.instance, h.name, h.hlc, h.trusts_redis, h.shipped_to, h.seen_ms";

// Plans: the batches are small and come in key order, so walking them along the index is right
// whatever the planner knows of the table, and two stayds lock rows in the same order. Timeouts:
// what nobody waits for any more ends by itself.
const char* const kSessionSettings =
    "SET client_min_messages = error; SET default_transaction_isolation = 'read committed'; "
    "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off; "
    "SET jit = off; SET plan_cache_mode = force_generic_plan; SET lock_timeout = '5s'; "
    "SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '30s'; "
    "SET client_connection_check_interval = '2s'; "
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') = 'off'";

// Where the rows are: a dump that was restored is elsewhere, a standby that took over is not.
#define STAYD_HOME                                                       \
  "concat_ws('-', (SELECT system_identifier FROM pg_control_system()), " \
  "(SELECT oid FROM pg_database WHERE datname = current_database()), "   \
  "to_regclass('stayd.rows')::oid)"

const char* const kLook =
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint::text, m.version::text, m.id, "
    "m.era::text, m.home, " STAYD_HOME
    ", "
    "CASE WHEN pg_is_in_recovery() "
    "THEN lpad(upper(to_hex((SELECT timeline_id FROM pg_control_checkpoint()))), 8, '0') "
    "ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END, "
    "current_setting('transaction_read_only') = 'off', to_regclass('stayd.keys') IS NOT NULL "
    "FROM stayd.meta m";

// fillfactor: a touched row finds room on its own page. Autovacuum: rows are replaced all the time,
// a fifth of a big table (the default) is too late; without the pause it keeps up.
#define STAYD_HOSTS                                                              \
  "CREATE TABLE stayd.hosts (instance bigint PRIMARY KEY, name bytea NOT NULL, " \
  "hlc bigint NOT NULL, trusts_redis boolean NOT NULL, shipped_to bigint NOT "   \
  "NULL, seen_ms bigint NOT NULL) WITH (fillfactor = 50, "                       \
  "autovacuum_vacuum_cost_delay = 0);"

const char* const kCreateSchema = R"(
CREATE SCHEMA IF NOT EXISTS stayd;
CREATE TABLE stayd.meta (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  version integer NOT NULL,
  id text NOT NULL,
  era integer NOT NULL CHECK (era BETWEEN 1 AND 32767),
  home text NOT NULL
);
CREATE TABLE stayd.rows (
  key bytea PRIMARY KEY,
  incarnation bigint NOT NULL,
  state smallint NOT NULL,
  through_redis boolean NOT NULL,
  hlc bigint NOT NULL,
  touched_hlc bigint NOT NULL,
  expires_at_ms bigint NOT NULL,
  created_at_ms bigint NOT NULL,
  tomb_until_ms bigint NOT NULL,
  change bigint NOT NULL,
  origin bigint NOT NULL,
  value bytea
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05,
        autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.1,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX rows_change ON stayd.rows (change, key);
)" STAYD_HOSTS R"(
INSERT INTO stayd.meta (version, id, era, home)
  SELECT 2, replace(gen_random_uuid()::text, '-', ''), 1, )" STAYD_HOME ";";

// Origins were decimal numbers as text. Redis had executed what it was known to have.
const char* const kUpgradeSchema = R"(
ALTER TABLE stayd.rows RENAME COLUMN confirmed TO through_redis;
ALTER TABLE stayd.rows ALTER COLUMN origin TYPE bigint USING
  CASE WHEN encode(origin, 'escape') ~ '^[0-9]{1,20}$'
    THEN least(encode(origin, 'escape')::numeric, 18446744073709551615) - 9223372036854775808
    ELSE -9223372036854775808 END;
)" STAYD_HOSTS "UPDATE stayd.meta SET version = 2;";

namespace {

std::string later(const char* a, const char* b) {
  return fmt::format("CASE WHEN {0} = 0 OR {1} = 0 THEN 0 ELSE greatest({0}, {1}) END", a, b);
}

// Once for each statement, not for each row.
constexpr const char* kChange = "(SELECT $1 + pg_current_xact_id()::text::bigint)";

constexpr const char* kWritten = "RETURNING r.key, r.change, r.incarnation";

// A batch: one array for each column, from $2 on.
constexpr const char* kBatch =
    "unnest($2::bytea[], $3::bigint[], $4::smallint[], $5::boolean[], $6::bigint[], $7::bigint[], "
    "$8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bytea[]) AS w(key, "
    "incarnation, "
    "state, through_redis, hlc, touched_hlc, expires_at_ms, created_at_ms, tomb_until_ms, origin, "
    "value)";

std::string insert() {
  return fmt::format(
      "INSERT INTO stayd.rows AS r (key, incarnation, state, through_redis, hlc, touched_hlc, "
      "expires_at_ms, created_at_ms, tomb_until_ms, change, origin, value) "
      "SELECT w.key, w.incarnation, w.state, w.through_redis, w.hlc, w.touched_hlc, "
      "w.expires_at_ms, "
      "w.created_at_ms, w.tomb_until_ms, {}, w.origin, w.value FROM {} ",
      kChange, kBatch);
}

// apply_write.cc says the same in C++; random_writes_test.cc compares. `by` is what is written.
std::string replaces(const char* by) {
  return fmt::format(
      "({0}.incarnation, {0}.state, {0}.hlc, {0}.origin) > "
      "(r.incarnation, r.state, r.hlc, r.origin) "
      "AND NOT ({0}.state = 2 AND r.state = 2 AND {0}.incarnation = r.incarnation)",
      by);
}

std::string touched_since(const char* by) {
  return fmt::format(
      "(r.state = 1 AND {0}.state = 1 AND r.incarnation = {0}.incarnation "
      "AND r.touched_hlc > {0}.hlc)",
      by);
}

std::string put() {
  const std::string since = touched_since("excluded");
  return insert() +
         fmt::format(
             "ON CONFLICT (key) DO UPDATE SET incarnation = excluded.incarnation, "
             "state = excluded.state, through_redis = excluded.through_redis, "
             "hlc = excluded.hlc, touched_hlc = CASE WHEN {0} "
             "THEN greatest(r.touched_hlc, excluded.touched_hlc) ELSE excluded.touched_hlc END, "
             "expires_at_ms = CASE WHEN {0} THEN {1} ELSE excluded.expires_at_ms END, "
             "created_at_ms = excluded.created_at_ms, tomb_until_ms = excluded.tomb_until_ms, "
             "change = excluded.change, origin = excluded.origin, value = excluded.value "
             "WHERE {2} {3}",
             since, later("r.expires_at_ms", "excluded.expires_at_ms"), replaces("excluded"),
             kWritten);
}

std::string create() {
  return insert() + "ON CONFLICT (key) DO NOTHING " + kWritten;
}

// Kinds as in BackupWrite::Kind. `expected_hlc` -1: whatever is there.
std::string change() {
  const std::string since = touched_since("w");
  const std::string joined = later("r.expires_at_ms", "w.expires_at_ms");
  std::string set;
  for (const char* column :
       {"state", "hlc", "created_at_ms", "tomb_until_ms", "through_redis", "origin", "value"}) {
    set += fmt::format("{0} = CASE w.kind WHEN 1 THEN r.{0} ELSE w.{0} END, ", column);
  }
  return fmt::format(
      "UPDATE stayd.rows r SET {1}"
      "incarnation = CASE w.kind WHEN 0 THEN w.incarnation ELSE r.incarnation END, "
      "touched_hlc = CASE WHEN w.kind = 1 THEN greatest(r.touched_hlc, w.hlc) "
      "WHEN {2} THEN greatest(r.touched_hlc, w.touched_hlc) ELSE w.touched_hlc END, "
      "expires_at_ms = CASE WHEN w.kind = 1 OR {2} THEN {3} ELSE w.expires_at_ms END, "
      "change = {4} "
      "FROM {0} WHERE r.key = w.key "
      "AND (w.expected_hlc = -1 OR (r.hlc = w.expected_hlc AND r.origin = w.expected_origin)) "
      "AND CASE w.kind WHEN 0 THEN {5} "
      "WHEN 1 THEN r.state = 1 AND r.incarnation = w.incarnation AND w.hlc > r.hlc "
      "AND (w.hlc > r.touched_hlc OR {3} <> r.expires_at_ms) "
      "ELSE r.state = 1 AND (w.hlc, w.origin) > (r.hlc, r.origin) END {6}",
      "unnest($2::bytea[], $3::bigint[], $4::smallint[], $5::boolean[], $6::bigint[], "
      "$7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bytea[], "
      "$13::smallint[], $14::bigint[], $15::bigint[]) AS w(key, incarnation, state, "
      "through_redis, hlc, touched_hlc, expires_at_ms, created_at_ms, tomb_until_ms, origin, "
      "value, kind, expected_hlc, expected_origin)",
      set, since, joined, kChange, replaces("w"), kWritten);
}

// Rows of `from`. Values beyond `limit` bytes in all are left out (but not the first), and the last
// column says so.
std::string rows_within(const char* limit, const std::string& from) {
  return fmt::format(
      "SELECT r.key, r.incarnation, r.state, r.through_redis, r.hlc, r.touched_hlc, "
      "r.expires_at_ms, "
      "r.created_at_ms, r.tomb_until_ms, r.change, r.origin, "
      "CASE WHEN NOT r.beyond THEN r.value END, r.beyond FROM (SELECT r.*, "
      "sum(coalesce(octet_length(r.value), 0)) OVER (ORDER BY r.key ROWS UNBOUNDED PRECEDING) "
      "- coalesce(octet_length(r.value), 0) >= {} AS beyond FROM {}) r",
      limit, from);
}

// Within the writing transaction: the rows of the batch that it has not written; $3: all the same;
// values of $4 bytes.
std::string unwritten() {
  return rows_within("$4::bigint",
                     fmt::format("unnest($2::bytea[]) AS w(key) JOIN stayd.rows r USING (key) "
                                 "WHERE $3::boolean OR r.change <> {}",
                                 kChange));
}

// The last of a batch that is to be written together: an error, which undoes it, unless all $3 keys
// have been written.
std::string together() {
  return fmt::format(
      "SELECT CASE WHEN count(*) <> $3::bigint THEN (count(*) || ' rows of ' || $3::bigint || "
      "' of stayd could be written: undone')::integer END "
      "FROM unnest($2::bytea[]) AS w(key) JOIN stayd.rows r USING (key) WHERE r.change = {}",
      kChange);
}

constexpr const char* kClockMs = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

std::string host() {
  return fmt::format(
      "INSERT INTO stayd.hosts AS h (instance, name, hlc, trusts_redis, shipped_to, seen_ms) "
      "VALUES ($1::bigint, $2::bytea, $3::bigint, $4::boolean, $5::bigint, {}) "
      "ON CONFLICT (instance) DO UPDATE SET name = excluded.name, hlc = excluded.hlc, "
      "trusts_redis = excluded.trusts_redis, shipped_to = excluded.shipped_to, "
      "seen_ms = excluded.seen_ms WHERE excluded.hlc > h.hlc",
      kClockMs);
}

// Those of the last $1 milliseconds, and the clock in any case. No standby's: it may be far behind.
std::string hosts() {
  return fmt::format(
      "SELECT {0}, c.clock_ms FROM (SELECT {1} AS clock_ms) c LEFT JOIN stayd.hosts h "
      "ON h.seen_ms > c.clock_ms - $1::bigint ORDER BY h.instance",
      kHostColumns, kClockMs);
}

std::string read() {
  return rows_within("$2::bigint", "stayd.rows r WHERE r.key = ANY($1::bytea[])");
}

// $1 changes that were under way at the last snapshot, from ($2, $3) on; all from ($4, $5) on;
// below $6 and none of $7; at most $8 rows, and values of $9 bytes.
std::string feed() {
  return fmt::format(
      "SELECT p.*, s.snapshot FROM (SELECT pg_current_snapshot()::text || "
      "CASE WHEN pg_is_in_recovery() THEN '!' ELSE '' END AS snapshot) s LEFT JOIN LATERAL ("
      "SELECT key, incarnation, state, through_redis, hlc, touched_hlc, expires_at_ms, "
      "created_at_ms, "
      "tomb_until_ms, change, origin, value FROM (SELECT q.*, "
      "sum(coalesce(octet_length(q.value), 0)) "
      "OVER (ORDER BY q.change, q.key ROWS UNBOUNDED PRECEDING) "
      "- coalesce(octet_length(q.value), 0) AS bytes_before FROM ("
      "(SELECT {0} FROM stayd.rows r WHERE r.change = ANY($1::bigint[]) "
      "AND (r.change, r.key) > ($2::bigint, $3::bytea) AND r.change < $6::bigint "
      "AND r.change <> ALL($7::bigint[]) ORDER BY r.change, r.key LIMIT $8::bigint) UNION ALL "
      "(SELECT {0} FROM stayd.rows r WHERE (r.change, r.key) > ($4::bigint, $5::bytea) "
      "AND r.change < $6::bigint AND r.change <> ALL($7::bigint[]) "
      "ORDER BY r.change, r.key LIMIT $8::bigint) "
      "ORDER BY change, key LIMIT $8::bigint) q) b WHERE b.bytes_before < $9::bigint) p ON true "
      "ORDER BY p.change, p.key",
      kRowColumns);
}

}  // namespace

const std::vector<PreparedStatement>& prepared_statements() {
  static const std::vector<PreparedStatement> all{
      {"put", put()},           {"create", create()},
      {"change", change()},     {"unwritten", unwritten()},
      {"together", together()}, {"host", host()},
      {"hosts", hosts()},       {"read", read()},
      {"feed", feed()},         {"hint", fmt::format("SELECT pg_notify('{}', '')", kHintChannel)},
      {"look", kLook},          {"listen", fmt::format("LISTEN {}", kHintChannel)},
  };
  return all;
}

}  // namespace stayd
