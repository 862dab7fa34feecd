#include "store/mysql/connection.h"

#include <fmt/format.h>

#include <map>

#include "store/backup/cursor_text.h"
#include "store/backup/sealed_ring.h"
#include "store/backup/sql_session.h"
#include "store/mysql/statements.h"

namespace stayd::mysql {
namespace {

std::string text_at(const Rows& rows, LookColumn column) {
  return std::string(rows.bytes(static_cast<unsigned>(column)));
}

std::int64_t number_at(const Rows& rows, LookColumn column) {
  return rows.number<std::int64_t>(static_cast<unsigned>(column));
}

}  // namespace

Result<Look> look_of(std::vector<Rows>& results) {
  Rows& meta = results.at(0);
  if (!meta.next()) {
    return make_error(Errc::unavailable, "backup: stayd_meta is empty: run \"stayd backup init\"");
  }
  if (const auto error = check_schema(number_at(meta, LookColumn::version), kSchemaVersion))
    return *error;
  std::map<std::string, std::string> variables;
  for (Rows& rows = results.at(1); rows.next();) {
    variables.emplace(rows.bytes(0), rows.bytes(1));
  }
  Look out;
  const std::string& uuid = variables["server_uuid"];  // MySQL's
  out.actual_home = fmt::format("{}.{}", uuid.empty() ? variables["server_id"] : uuid,
                                text_at(meta, LookColumn::made));
  out.home = text_at(meta, LookColumn::home);
  out.session.writable = !is_on(variables["read_only"]) && !is_on(variables["super_read_only"]);
  out.session.clock_ms = number_at(meta, LookColumn::clock_ms);
  out.session.has_ring = number_at(meta, LookColumn::has_ring) != 0;
  out.session.era_base = number_at(meta, LookColumn::era);
  out.session.epoch =
      fmt::format("{}-{}-{}", text_at(meta, LookColumn::id), out.session.era_base, out.actual_home);
  out.limits.max_packet =
      parsed_number<std::size_t>(variables["max_allowed_packet"]).value_or(1 << 20);
  return out;
}

Result<void> Connection::open() {
  const Result<Target> target = parse_url(options_.url);
  if (!target) return target.error();
  Result<std::string> password = options_.password ? options_.password() : std::string();
  if (!password) return password.error();
  exchange_ = std::make_unique<Exchange>();
  const Result<void> connected = until_done(
      exchange_->start_connect(*target, password->empty() ? target->password : *password));
  if (!connected) {
    // Whatever it was, there is no connection, and nothing has happened.
    const Error& error = connected.error();
    if (error.code == Errc::timed_out) return error;
    return make_error(Errc::unavailable, error.message);
  }
  const Result<std::vector<Rows>> set = exec(kSessionSettings);
  if (!set) return set.error();
  return {};
}

Result<Look> Connection::set_up() {
  Result<std::vector<Rows>> seen = exec(kLook);
  if (!seen) return seen.error();
  Result<Look> look = look_of(*seen);
  if (!look) return look;
  if (look->home != look->actual_home) {
    if (!look->session.writable) {
      return make_error(Errc::unavailable,
                        "backup: this is a copy of another one, and takes no writes yet");
    }
    // Whoever comes first; for the others nothing is left to be done.
    const Result<std::vector<Rows>> moved =
        exec(fmt::format("UPDATE stayd_meta SET era = era + 1, home = {} WHERE home = {}",
                         quoted(look->actual_home), quoted(look->home)));
    if (!moved) return moved.error();
    seen = exec(kLook);
    if (!seen) return seen.error();
    look = look_of(*seen);
    if (!look) return look;
  }
  const Result<std::string> bytes = ring_bytes();
  if (!bytes) return bytes.error();
  auto ring = open_backup_ring(*bytes, options_.keys());
  if (!ring) return ring.error();
  look->session.ring = std::move(*ring);
  return look;
}

Result<std::string> Connection::ring_bytes() {
  Result<std::vector<Rows>> found = exec("SELECT ring FROM stayd_keys WHERE one = 1");
  if (!found) return found.error();
  Rows& rows = found->at(0);
  return rows.next() ? std::string(rows.bytes(0)) : std::string();
}

Result<std::vector<Rows>> Connection::exec(std::string packet) {
  const Result<void> done = until_done(exchange_->start(std::move(packet)));
  if (!done) return done.error();
  return std::move(exchange_->results());
}

Result<void> Connection::until_done(Exchange::State state) {
  while (state == Exchange::State::waiting) {
    const Result<void> ready =
        wait_for_server(options_, deadline_us_, cancel_fd_, exchange_->fd(), exchange_->events());
    if (!ready) return ready;
    state = exchange_->advance();
  }
  if (exchange_->error()) return exchange_->error()->error;
  return {};
}

}  // namespace stayd::mysql
