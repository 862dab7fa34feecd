#include "store/mysql/admin.h"

#include <fmt/format.h>

#include "store/backup/sealed_ring.h"
#include "store/mysql/row_result.h"
#include "store/mysql/statements.h"

namespace stayd {
namespace {

using mysql::Rows;

constexpr std::int64_t kPatienceUs = 600'000'000;  // counting a big table takes its time

// What nobody needs any more; of `r`.
std::string gone(std::int64_t clock_ms) {
  return fmt::format(
      "((r.state = 2 AND r.tomb_until_ms <> 0 AND r.tomb_until_ms < {}) OR "
      "(r.state = 1 AND r.expires_at_ms <> 0 AND r.expires_at_ms < {}))",
      clock_ms, clock_ms - kPurgeExpiredMs);
}

}  // namespace

MysqlAdmin::MysqlAdmin(const BackupOptions& options)
    : options_(options),
      connection_(options, options.now().mono_us + options.connect_timeout_us, -1) {}

Result<void> MysqlAdmin::connect() {
  const Result<void> open = connection_.open();
  connection_.extend(options_.now().mono_us + kPatienceUs);
  return open;
}

Result<mysql::Look> MysqlAdmin::look() {
  Result<std::vector<Rows>> seen = connection_.exec(mysql::kLook);
  if (!seen) return seen.error();
  return mysql::look_of(*seen);
}

Result<bool> MysqlAdmin::has_schema() {
  Result<std::vector<Rows>> found = connection_.exec(
      "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() "
      "AND table_name = 'stayd_meta'");
  if (!found) return found.error();
  if (!found->at(0).next() || found->at(0).number<std::int64_t>(0) == 0) return false;
  found = connection_.exec("SELECT version FROM stayd_meta");
  if (!found) return found.error();
  return found->at(0).next();
}

// Statements that create commit by themselves: whoever was killed halfway is gone on with, and the
// row of stayd_meta comes last.
Result<void> MysqlAdmin::create() {
  const Result<std::vector<Rows>> made = connection_.exec(mysql::kCreateTables);
  if (!made) return made.error();
  const Result<std::vector<Rows>> begun = connection_.exec(
      fmt::format("INSERT INTO stayd_meta (one, version, id, era, home, last_change) "
                  "VALUES (1, {}, REPLACE(UUID(), '-', ''), 0, '', 0)",
                  mysql::kSchemaVersion));
  if (!begun) return begun.error();
  return {};
}

Result<BackupAdmin::Made> MysqlAdmin::init() {
  // Two of these at once: the second one finds what the first one made. Held until we hang up.
  Result<std::vector<Rows>> locked = connection_.exec(
      fmt::format("SELECT GET_LOCK(CONCAT('stayd ', MD5(DATABASE())), {})", init_patience_s));
  if (!locked) return locked.error();
  Rows& lock = locked->at(0);
  if (!lock.next() || lock.is_null(0)) {
    return make_error(Errc::unavailable, "backup: the server gives no lock (GET_LOCK)");
  }
  if (lock.bytes(0) != "1") {
    return make_error(Errc::busy, fmt::format("backup: somebody else has been at \"init\" for {} s",
                                              init_patience_s));
  }
  const Result<bool> there = has_schema();
  if (!there) return there.error();
  if (!*there) {
    const Result<void> created = create();
    if (!created) return created.error();
  }
  const Result<mysql::Look> seen = look();
  if (!seen) return seen.error();
  if (!*there) {
    // Where it has been made is where it is at home.
    const auto home =
        connection_.exec(fmt::format("UPDATE stayd_meta SET era = 1, home = {} WHERE era = 0",
                                     mysql::quoted(seen->actual_home)));
    if (!home) return home.error();
  }
  if (!options_.keys().empty()) {
    const Result<void> ring = make_ring();
    if (!ring) return ring.error();
  }
  return *there ? Made::nothing : Made::schema;
}

Result<void> MysqlAdmin::make_ring() {
  const Result<std::string> bytes = connection_.ring_bytes();
  if (!bytes) return bytes.error();
  const Result<std::optional<std::string>> next = wrap_backup_ring(*bytes, options_.keys());
  if (!next) return next.error();
  if (!*next) return {};
  const auto written =
      connection_.exec(fmt::format("INSERT INTO stayd_keys (one, ring) VALUES (1, {}) "
                                   "ON DUPLICATE KEY UPDATE ring = VALUES(ring)",
                                   mysql::quoted(**next)));
  if (!written) return written.error();
  return {};
}

Result<BackupAdmin::State> MysqlAdmin::state() {
  const Result<mysql::Look> seen = look();
  if (!seen) return seen.error();
  const Result<std::string> bytes = connection_.ring_bytes();
  if (!bytes) return bytes.error();
  const auto ring = open_backup_ring(*bytes, options_.keys());
  if (!ring) return ring.error();
  return State{seen->session.writable, seen->session.clock_ms, *ring != nullptr};
}

Result<BackupAdmin::Stats> MysqlAdmin::stats(std::int64_t wall_ms) {
  const Result<mysql::Look> seen = look();
  if (!seen) return seen.error();
  Result<std::vector<Rows>> counted = connection_.exec(fmt::format(
      "SELECT COALESCE(SUM(state = 1), 0), COALESCE(SUM(state = 1 AND expires_at_ms <> 0 AND "
      "expires_at_ms <= {}), 0), COALESCE(SUM(state = 2), 0), COALESCE(SUM(NOT through_redis), 0), "
      "COALESCE(SUM(value_bytes), 0), (SELECT SUM(data_length + index_length) FROM "
      "information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'stayd_rows') "
      "FROM stayd_rows",
      wall_ms));
  if (!counted) return counted.error();
  Rows& row = counted->at(0);
  if (!row.next()) return make_error(Errc::io, "backup: no answer");
  Stats out;
  out.epoch = seen->session.epoch;
  out.writable = seen->session.writable;
  out.live = row.number<std::int64_t>(0);
  out.expired = row.number<std::int64_t>(1);
  out.tombs = row.number<std::int64_t>(2);
  out.without_redis = row.number<std::int64_t>(3);
  out.value_bytes = row.number<std::int64_t>(4);
  out.disk_bytes = row.number<std::int64_t>(5);
  return out;
}

Result<std::optional<BackupRow>> MysqlAdmin::get(const FullKey& key) {
  const Result<mysql::Look> seen = look();
  if (!seen) return seen.error();
  const Result<std::string> bytes = connection_.ring_bytes();
  if (!bytes) return bytes.error();
  auto ring = open_backup_ring(*bytes, options_.keys());
  if (!ring) return ring.error();
  ValueCodec values;
  values.set_ring(std::move(*ring));
  Result<std::vector<Rows>> found =
      connection_.exec(fmt::format("SELECT {}, r.value FROM stayd_rows r WHERE r.row_key = {}",
                                   mysql::kHeaderColumns, mysql::quoted(key)));
  if (!found) return found.error();
  if (!found->at(0).next()) return std::optional<BackupRow>();
  return std::optional<BackupRow>(mysql::row_of(found->at(0), values));
}

Result<std::vector<FullKey>> MysqlAdmin::purgeable(std::int64_t clock_ms) {
  Result<std::vector<Rows>> found = connection_.exec(fmt::format(
      "SELECT r.row_key FROM stayd_rows r WHERE {} LIMIT {}", gone(clock_ms), kPurgeBatch));
  if (!found) return found.error();
  std::vector<FullKey> keys;
  for (Rows& rows = found->at(0); rows.next();) keys.emplace_back(rows.bytes(0));
  return keys;
}

// Looked for without holding up anybody; removed as writes are made, one transaction at a time.
Result<std::int64_t> MysqlAdmin::purge() {
  const Result<mysql::Look> seen = look();
  if (!seen) return seen.error();
  if (!seen->session.writable) {
    return make_error(Errc::unavailable, "backup: the server is read-only");
  }
  const std::int64_t clock_ms = seen->session.clock_ms;
  const Result<std::vector<FullKey>> keys = purgeable(clock_ms);
  if (!keys) return keys.error();
  const Result<std::vector<Rows>> purged =
      connection_.exec(fmt::format("{}; DELETE r FROM stayd_rows r WHERE r.row_key IN {} AND {}; "
                                   "DELETE FROM stayd_hosts WHERE seen_ms < {} - {}; {}",
                                   mysql::kBegin, mysql::key_list(*keys), gone(clock_ms),
                                   mysql::kClockMs, kPurgeHostMs, mysql::kCommit));
  if (!purged) return purged.error();
  // Rows that have changed meanwhile are left; that is no reason to stop.
  return static_cast<std::int64_t>(keys->size());
}

}  // namespace stayd
