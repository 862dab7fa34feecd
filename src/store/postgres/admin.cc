#include "store/postgres/admin.h"

#include <fmt/format.h>

#include "store/postgres/statements.h"

namespace stayd {
namespace {

constexpr std::int64_t kPatienceUs = 600'000'000;  // counting a big table takes its time

Params with(std::int64_t number) {
  Params params;
  params.add_int8(number);
  return params;
}

}  // namespace

PostgresAdmin::PostgresAdmin(const BackupOptions& options)
    : options_(options),
      connection_(options, options.now().mono_us + options.connect_timeout_us, -1) {}

Result<void> PostgresAdmin::connect() {
  const Result<void> open = connection_.open();
  if (!open) return open;
  connection_.extend(options_.now().mono_us + kPatienceUs);
  const Result<PgResult> set = connection_.exec("SET client_min_messages = error");
  if (!set) return set.error();
  return {};
}

Result<PostgresAdmin::Made> PostgresAdmin::init() {
  // Two of these at once: the second one finds what the first one made.
  const Result<PgResult> locked = connection_.exec(
      "BEGIN; SELECT pg_advisory_xact_lock(hashtext('stayd backup init'));"
      "SELECT to_regclass('stayd.meta') IS NOT NULL");
  if (!locked) return locked.error();
  Made made = Made::schema;
  if (PQgetvalue(locked->get(), 0, 0)[0] == 't') {
    const Result<PgResult> old =
        connection_.exec("SELECT EXISTS (SELECT FROM stayd.meta WHERE version = 1)");
    if (!old) return old.error();
    made = PQgetvalue(old->get(), 0, 0)[0] == 't' ? Made::upgrade : Made::nothing;
  }
  if (made != Made::nothing) {
    const Result<PgResult> done =
        connection_.exec(made == Made::schema ? kCreateSchema : kUpgradeSchema);
    if (!done) return done.error();
  }
  const Result<BackupSession> seen = session();
  if (!seen) return seen.error();
  if (!options_.keys().empty()) {
    const Result<void> ring = connection_.make_ring();
    if (!ring) return ring.error();
  }
  const Result<PgResult> committed = connection_.exec("COMMIT");
  if (!committed) return committed.error();
  return made;
}

Result<BackupSession> PostgresAdmin::session() {
  const Result<PgResult> seen = connection_.exec(kLook);
  if (!seen) return seen.error();
  return session_of(seen->get());
}

Result<PostgresAdmin::State> PostgresAdmin::state() {
  const Result<BackupSession> seen = session();
  if (!seen) return seen.error();
  const auto ring = connection_.ring();
  if (!ring) return ring.error();
  return State{seen->writable, seen->clock_ms, *ring != nullptr};
}

Result<PostgresAdmin::Stats> PostgresAdmin::stats(std::int64_t wall_ms) {
  const Result<BackupSession> seen = session();
  if (!seen) return seen.error();
  const Result<PgResult> counted = connection_.exec(
      "SELECT count(*) FILTER (WHERE state = 1), count(*) FILTER (WHERE state = 1 "
      "AND expires_at_ms <> 0 AND expires_at_ms <= $1::bigint), count(*) FILTER (WHERE state = 2), "
      "count(*) FILTER (WHERE NOT through_redis), coalesce(sum(octet_length(value)), 0)::bigint, "
      "pg_total_relation_size('stayd.rows') FROM stayd.rows",
      with(wall_ms));
  if (!counted) return counted.error();
  const PGresult* row = counted->get();
  Stats out;
  out.epoch = seen->epoch;
  out.writable = seen->writable;
  out.live = int8_at(row, 0, 0);
  out.expired = int8_at(row, 0, 1);
  out.tombs = int8_at(row, 0, 2);
  out.without_redis = int8_at(row, 0, 3);
  out.value_bytes = int8_at(row, 0, 4);
  out.disk_bytes = int8_at(row, 0, 5);
  return out;
}

Result<std::optional<BackupRow>> PostgresAdmin::get(const FullKey& key) {
  const Result<BackupSession> seen = session();
  if (!seen) return seen.error();
  auto ring = connection_.ring();
  if (!ring) return ring.error();
  ValueCodec values;
  values.set_ring(std::move(*ring));
  Params params;
  params.add(key);
  const std::string sql =
      fmt::format("SELECT {} FROM stayd.rows r WHERE r.key = $1::bytea", kRowColumns);
  const Result<PgResult> found = connection_.exec(sql.c_str(), params);
  if (!found) return found.error();
  if (PQntuples(found->get()) == 0) return std::optional<BackupRow>();
  return std::optional<BackupRow>(row_of(found->get(), 0, values));
}

Result<std::int64_t> PostgresAdmin::purge() {
  const Result<BackupSession> seen = session();
  if (!seen) return seen.error();
  // What somebody is writing just now is left for the next time.
  Params params = with(seen->clock_ms);
  params.add_int8(seen->clock_ms - kPurgeExpiredMs);
  params.add_int8(kPurgeBatch);
  params.add_int8(kPurgeHostMs);
  const Result<PgResult> purged = connection_.exec(
      "WITH gone AS (DELETE FROM stayd.rows WHERE key IN (SELECT key FROM stayd.rows WHERE "
      "(state = 2 AND tomb_until_ms <> 0 AND tomb_until_ms < $1::bigint) OR "
      "(state = 1 AND expires_at_ms <> 0 AND expires_at_ms < $2::bigint) "
      "LIMIT $3::bigint FOR UPDATE SKIP LOCKED) RETURNING 1), hosts AS (DELETE FROM stayd.hosts "
      "WHERE seen_ms < extract(epoch FROM clock_timestamp()) * 1000 - $4::bigint) "
      "SELECT count(*) FROM gone",
      params);
  if (!purged) return purged.error();
  return int8_at(purged->get(), 0, 0);
}

}  // namespace stayd
