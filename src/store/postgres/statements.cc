#include "store/postgres/statements.h"

#include <fmt/format.h>

namespace stayd {

const char* const kRowColumns =
    "r.key, r.incarnation, r.state, r.confirmed, r.hlc, r.touched_hlc, r.expires_at_ms, "
    "r.created_at_ms, r.tomb_until_ms, r.change, r.origin, r.value";

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
    "current_setting('transaction_read_only') = 'off' FROM stayd.meta m";

// fillfactor: a touched row finds room on its own page. Autovacuum: rows are replaced all the time,
// a fifth of a big table (the default) is too late; without the pause it keeps up.
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
  confirmed boolean NOT NULL,
  hlc bigint NOT NULL,
  touched_hlc bigint NOT NULL,
  expires_at_ms bigint NOT NULL,
  created_at_ms bigint NOT NULL,
  tomb_until_ms bigint NOT NULL,
  change bigint NOT NULL,
  origin bytea NOT NULL,
  value bytea
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05,
        autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.1,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX rows_change ON stayd.rows (change, key);
INSERT INTO stayd.meta (version, id, era, home)
  SELECT 1, replace(gen_random_uuid()::text, '-', ''), 1, )" STAYD_HOME ";";

namespace {

std::string later(const char* a, const char* b) {
  return fmt::format("CASE WHEN {0} = 0 OR {1} = 0 THEN 0 ELSE greatest({0}, {1}) END", a, b);
}

// Once for each statement, not for each row.
constexpr const char* kChange = "(SELECT $1 + pg_current_xact_id()::text::bigint)";

// A batch: one array for each column, from $2 on.
constexpr const char* kBatch =
    "unnest($2::bytea[], $3::bigint[], $4::smallint[], $5::boolean[], $6::bigint[], $7::bigint[], "
    "$8::bigint[], $9::bigint[], $10::bigint[], $11::bytea[], $12::bytea[]) AS w(key, incarnation, "
    "state, confirmed, hlc, touched_hlc, expires_at_ms, created_at_ms, tomb_until_ms, origin, "
    "value)";

std::string insert() {
  return fmt::format(
      "INSERT INTO stayd.rows AS r (key, incarnation, state, confirmed, hlc, touched_hlc, "
      "expires_at_ms, created_at_ms, tomb_until_ms, change, origin, value) "
      "SELECT w.key, w.incarnation, w.state, w.confirmed, w.hlc, w.touched_hlc, w.expires_at_ms, "
      "w.created_at_ms, w.tomb_until_ms, {}, w.origin, w.value FROM {} ",
      kChange, kBatch);
}

// apply_write.cc says the same in C++; behaviour_test.cc compares. `by` is what is written.
std::string replaces(const char* by) {
  return fmt::format("({0}.incarnation, {0}.state, {0}.hlc) > (r.incarnation, r.state, r.hlc)", by);
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
             "state = excluded.state, confirmed = excluded.confirmed AND NOT {0}, "
             "hlc = excluded.hlc, touched_hlc = CASE WHEN {0} "
             "THEN greatest(r.touched_hlc, excluded.touched_hlc) ELSE excluded.touched_hlc END, "
             "expires_at_ms = CASE WHEN {0} THEN {1} ELSE excluded.expires_at_ms END, "
             "created_at_ms = excluded.created_at_ms, tomb_until_ms = excluded.tomb_until_ms, "
             "change = excluded.change, origin = excluded.origin, value = excluded.value "
             "WHERE {2} RETURNING r.key, r.change",
             since, later("r.expires_at_ms", "excluded.expires_at_ms"), replaces("excluded"));
}

std::string create() {
  return insert() + "ON CONFLICT (key) DO NOTHING RETURNING r.key, r.change";
}

// Kinds as in BackupWrite::Kind; `expected` -1: whatever is there.
std::string change() {
  const std::string since = touched_since("w");
  const std::string joined = later("r.expires_at_ms", "w.expires_at_ms");
  const auto if_put = [](const char* column) {
    return fmt::format("{0} = CASE w.kind WHEN 0 THEN w.{0} ELSE r.{0} END, ", column);
  };
  std::string set;
  for (const char* column :
       {"incarnation", "state", "hlc", "created_at_ms", "tomb_until_ms", "origin", "value"}) {
    set += if_put(column);
  }
  return fmt::format(
      "UPDATE stayd.rows r SET {1}"
      "confirmed = CASE w.kind WHEN 0 THEN w.confirmed AND NOT {2} "
      "WHEN 1 THEN r.confirmed AND w.confirmed ELSE true END, "
      "touched_hlc = CASE w.kind WHEN 0 THEN CASE WHEN {2} "
      "THEN greatest(r.touched_hlc, w.touched_hlc) ELSE w.touched_hlc END "
      "WHEN 1 THEN greatest(r.touched_hlc, w.hlc) ELSE r.touched_hlc END, "
      "expires_at_ms = CASE w.kind WHEN 0 THEN CASE WHEN {2} THEN {3} ELSE w.expires_at_ms END "
      "WHEN 1 THEN {3} ELSE r.expires_at_ms END, "
      "change = {4} "
      "FROM {0} WHERE r.key = w.key "
      "AND (w.expected < 0 OR (w.expected > 0 AND r.hlc = w.expected)) AND CASE w.kind "
      "WHEN 0 THEN {5} "
      "WHEN 1 THEN r.state = 1 AND r.incarnation = w.incarnation AND w.hlc > r.hlc "
      "AND (w.hlc > r.touched_hlc OR {3} <> r.expires_at_ms) "
      "ELSE r.state = w.state AND r.incarnation = w.incarnation AND r.hlc = w.hlc "
      "AND r.touched_hlc = w.touched_hlc AND r.origin = w.origin AND NOT r.confirmed END "
      "RETURNING r.key, r.change",
      "unnest($2::bytea[], $3::bigint[], $4::smallint[], $5::boolean[], $6::bigint[], "
      "$7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bytea[], $12::bytea[], "
      "$13::smallint[], $14::bigint[]) AS w(key, incarnation, state, confirmed, hlc, touched_hlc, "
      "expires_at_ms, created_at_ms, tomb_until_ms, origin, value, kind, expected)",
      set, since, joined, kChange, replaces("w"));
}

// Within the writing transaction: the rows of the batch that it has not written; $3: all the same.
std::string unwritten() {
  return fmt::format(
      "SELECT {} FROM unnest($2::bytea[]) AS w(key) JOIN stayd.rows r USING (key) "
      "WHERE $3::boolean OR r.change <> {}",
      kRowColumns, kChange);
}

// Values beyond $2 bytes in all are left out (but not the first), and the last column says so.
std::string read() {
  return fmt::format(
      "SELECT r.key, r.incarnation, r.state, r.confirmed, r.hlc, r.touched_hlc, r.expires_at_ms, "
      "r.created_at_ms, r.tomb_until_ms, r.change, r.origin, "
      "CASE WHEN NOT r.beyond THEN r.value END, r.beyond FROM (SELECT r.*, "
      "sum(coalesce(octet_length(r.value), 0)) OVER (ORDER BY r.key ROWS UNBOUNDED PRECEDING) "
      "- coalesce(octet_length(r.value), 0) >= $2::bigint AS beyond "
      "FROM stayd.rows r WHERE r.key = ANY($1::bytea[])) r");
}

// $1 changes that were under way at the last snapshot, from ($2, $3) on; all from ($4, $5) on;
// below $6 and none of $7; at most $8 rows, and values of $9 bytes.
std::string feed() {
  return fmt::format(
      "SELECT p.*, s.snapshot FROM (SELECT pg_current_snapshot()::text || "
      "CASE WHEN pg_is_in_recovery() THEN '!' ELSE '' END AS snapshot) s LEFT JOIN LATERAL ("
      "SELECT key, incarnation, state, confirmed, hlc, touched_hlc, expires_at_ms, created_at_ms, "
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
      {"put", put()},
      {"create", create()},
      {"change", change()},
      {"unwritten", unwritten()},
      {"read", read()},
      {"feed", feed()},
      {"hint", fmt::format("SELECT pg_notify('{}', '')", kHintChannel)},
      {"look", kLook},
      {"listen", fmt::format("LISTEN {}", kHintChannel)},
  };
  return all;
}

}  // namespace stayd
