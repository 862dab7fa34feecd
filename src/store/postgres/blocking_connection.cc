#include "store/postgres/blocking_connection.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <charconv>

#include "store/backup/sealed_ring.h"
#include "store/backup/sql_session.h"
#include "store/postgres/sql_error.h"
#include "store/postgres/statements.h"
#include "store/postgres/url.h"

namespace stayd {
namespace {

std::string text_at(const PGresult* result, LookColumn column) {
  return PQgetvalue(result, 0, static_cast<int>(column));
}

std::int64_t number_at(const PGresult* result, LookColumn column) {
  const std::string text = text_at(result, column);
  std::int64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

// The rows were numbered by another database or cluster, whose transactions say nothing here.
bool is_copy(const PGresult* result) {
  return text_at(result, LookColumn::home) != text_at(result, LookColumn::actual_home);
}

}  // namespace

Result<BackupSession> session_of(const PGresult* result) {
  if (PQntuples(result) != 1) {
    return make_error(Errc::unavailable, "backup: stayd.meta is empty: run \"stayd backup init\"");
  }
  if (const auto error = check_schema(number_at(result, LookColumn::version), kSchemaVersion)) {
    return *error;
  }
  BackupSession out;
  out.writable = text_at(result, LookColumn::writable) == "t";
  out.has_ring = text_at(result, LookColumn::has_ring) == "t";
  out.clock_ms = number_at(result, LookColumn::clock_ms);
  out.era_base = number_at(result, LookColumn::era) << kEraBits;
  out.epoch =
      fmt::format("{}-{}-{}", text_at(result, LookColumn::id),
                  text_at(result, LookColumn::actual_home), text_at(result, LookColumn::timeline));
  return out;
}

Result<void> BlockingConnection::open() {
  if (auto good = check_postgres_url(options_.url); !good) return good.error();
  Result<std::string> password = options_.password ? options_.password() : std::string();
  if (!password) return password.error();
  const std::string timeout = std::to_string(std::max<std::int64_t>(
      2, options_.connect_timeout_us / 1'000'000));  // 2 s is the least that libpq knows
  // In front of the url what it may change, behind it what it may not.
  std::vector<const char*> names{"connect_timeout",
                                 "keepalives_idle",
                                 "keepalives_interval",
                                 "keepalives_count",
                                 "tcp_user_timeout",
                                 "application_name",
                                 "dbname"};
  std::vector<const char*> values{timeout.c_str(),     "5", "2", "3", "5000", "stayd",
                                  options_.url.c_str()};
  if (!password->empty()) {
    names.push_back("password");
    values.push_back(password->c_str());
  }
  names.push_back("client_encoding");
  values.push_back("SQL_ASCII");  // bytes are bytes
  names.push_back(nullptr);
  values.push_back(nullptr);
  connection_.reset(PQconnectStartParams(names.data(), values.data(), 1));
  if (!connection_) return make_error(Errc::unavailable, "backup: out of memory");
  PQsetNoticeProcessor(connection_.get(), [](void*, const char*) {}, nullptr);
  for (PostgresPollingStatusType next = PGRES_POLLING_WRITING; next != PGRES_POLLING_OK;) {
    if (PQstatus(connection_.get()) == CONNECTION_BAD || next == PGRES_POLLING_FAILED) {
      // libpq tells no SQLSTATE of a login that failed; its text does.
      const SqlError error = classify("08001", PQerrorMessage(connection_.get()));
      return make_error(Errc::unavailable, error.error.message);
    }
    const Result<void> ready = wait(next == PGRES_POLLING_READING ? POLLIN : POLLOUT);
    if (!ready) return ready;
    next = PQconnectPoll(connection_.get());
  }
  PQsetnonblocking(connection_.get(), 1);
  return {};
}

Result<BackupSession> BlockingConnection::set_up() {
  const Result<PgResult> set = exec(kSessionSettings);
  if (!set) return set.error();
  Result<BackupSession> session = look();
  if (!session) return session;
  auto keys = ring();
  if (!keys) return keys.error();
  session->ring = std::move(*keys);
  const Result<void> prepared = prepare();
  if (!prepared) return prepared.error();
  return session;
}

Result<std::optional<std::string>> BlockingConnection::ring_bytes() {
  const Result<PgResult> there = exec("SELECT to_regclass('stayd.keys') IS NOT NULL");
  if (!there) return there.error();
  if (PQgetvalue(there->get(), 0, 0)[0] != 't') return std::optional<std::string>();
  const Result<PgResult> found = exec("SELECT ring FROM stayd.keys", Params());
  if (!found) return found.error();
  if (PQntuples(found->get()) == 0) return std::optional(std::string());
  return std::optional(std::string(bytes_at(found->get(), 0, 0)));
}

Result<std::shared_ptr<const KeyRing>> BlockingConnection::ring() {
  const Result<std::optional<std::string>> bytes = ring_bytes();
  if (!bytes) return bytes.error();
  // It is made and filled in one transaction: somebody has emptied it, or restored it without rows.
  if (*bytes && (*bytes)->empty()) {
    return make_error(
        Errc::invalid,
        "backup: stayd.keys is empty, its row has been lost: put it back from a dump, "
        "or drop the table if nothing was ever encrypted");
  }
  return open_backup_ring(bytes->value_or(""), options_.keys());
}

Result<void> BlockingConnection::make_ring() {
  const Result<PgResult> table = exec(
      "CREATE TABLE IF NOT EXISTS stayd.keys (one boolean PRIMARY KEY DEFAULT true CHECK (one), "
      "ring bytea NOT NULL)");
  if (!table) return table.error();
  const Result<std::optional<std::string>> bytes = ring_bytes();
  if (!bytes) return bytes.error();
  auto next = wrap_backup_ring(bytes->value_or(""), options_.keys());
  if (!next) return next.error();
  if (!*next) return {};
  Params params;
  params.add(std::move(**next));
  const Result<PgResult> written = exec(
      "INSERT INTO stayd.keys (ring) VALUES ($1::bytea) "
      "ON CONFLICT (one) DO UPDATE SET ring = excluded.ring",
      params);
  if (!written) return written.error();
  return {};
}

Result<BackupSession> BlockingConnection::look() {
  Result<PgResult> seen = exec(kLook);
  if (!seen) return seen.error();
  Result<BackupSession> session = session_of(seen->get());
  if (!session || !is_copy(seen->get())) return session;
  if (!session->writable) {
    return make_error(Errc::unavailable,
                      "backup: this is a copy of another one, and takes no writes yet");
  }
  // Whoever comes first; for the others nothing is left to be done.
  Params params;
  params.add(text_at(seen->get(), LookColumn::home));
  params.add(text_at(seen->get(), LookColumn::actual_home));
  const Result<PgResult> moved =
      exec("UPDATE stayd.meta SET era = era + 1, home = $2::text WHERE home = $1::text", params);
  if (!moved) return moved.error();
  seen = exec(kLook);
  if (!seen) return seen.error();
  return session_of(seen->get());
}

Result<void> BlockingConnection::prepare() {
  for (const PreparedStatement& one : prepared_statements()) {
    const Result<PgResult> done =
        results(PQsendPrepare(connection_.get(), one.name, one.sql.c_str(), 0, nullptr));
    if (!done) return done.error();
  }
  return {};
}

Result<PgResult> BlockingConnection::exec(const char* sql) {
  return results(PQsendQuery(connection_.get(), sql));
}

Result<PgResult> BlockingConnection::exec(const char* sql, const Params& params, bool binary) {
  std::vector<const char*> values;
  std::vector<int> lengths, formats;
  for (std::size_t i = 0; i < static_cast<std::size_t>(params.size()); ++i) {
    values.push_back(params[i].data());
    lengths.push_back(static_cast<int>(params[i].size()));
    formats.push_back(1);
  }
  return results(PQsendQueryParams(connection_.get(), sql, params.size(), nullptr, values.data(),
                                   lengths.data(), formats.data(), binary ? 1 : 0));
}

Result<PgResult> BlockingConnection::results(int sent) {
  PGconn* connection = connection_.get();
  if (sent == 0) return failed(nullptr);
  PgResult last;
  for (;;) {
    const int unsent = PQflush(connection);
    if (unsent < 0) return failed(nullptr);
    if (unsent == 0 && PQisBusy(connection) == 0) {
      PgResult next(PQgetResult(connection));
      if (!next) break;
      last = std::move(next);
      continue;
    }
    const Result<void> ready = wait(static_cast<short>(POLLIN | (unsent != 0 ? POLLOUT : 0)));
    if (!ready) return ready.error();
    if (PQconsumeInput(connection) == 0) return failed(nullptr);
  }
  const ExecStatusType status = PQresultStatus(last.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) return failed(last.get());
  return last;
}

Result<void> BlockingConnection::wait(short events) {
  return wait_for_server(options_, deadline_us_, cancel_fd_, PQsocket(connection_.get()), events);
}

Error BlockingConnection::failed(const PGresult* result) const {
  const char* state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* message =
      result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  return classify(state == nullptr ? "" : state,
                  message == nullptr ? PQerrorMessage(connection_.get()) : message)
      .error;
}

}  // namespace stayd
