#include "store/mysql/mysql_link.h"

#include <utility>

#include "store/mysql/connection.h"
#include "store/mysql/statements.h"

namespace stayd {

using State = BackupLink::State;

Result<bool> MysqlLink::start(const BackupOperation& operation) {
  Result<std::unique_ptr<mysql::Task>> task =
      mysql::make_task(operation, session(), values_, limits_);
  if (!task) return task.error();
  task_ = std::move(*task);
  std::vector<mysql::Rows> none;
  Result<std::optional<std::string>> first = task_->next(none);
  if (!first) return first.error();
  return begin(Doing::task, std::move(**first));
}

bool MysqlLink::start_look() {
  return begin(Doing::look, mysql::kLook);
}

bool MysqlLink::begin(Doing doing, std::string packet) {
  doing_ = doing;
  error_.reset();
  ended_.reset();
  const State state = run(exchange_->start(std::move(packet)));
  if (state == State::done) ended_ = state;
  return state != State::lost;
}

State MysqlLink::advance() {
  if (ended_) return *std::exchange(ended_, std::nullopt);
  return run(exchange_->advance());
}

State MysqlLink::run(State state) {
  while (state == State::done) {
    // What could not be undone goes with the connection: nobody may find it inside a transaction.
    if (doing_ == Doing::undo) return exchange_->error() ? State::lost : end();
    if (const auto& error = exchange_->error()) {
      state = give_up(*error);
    } else if (doing_ == Doing::task) {
      state = next_packet();
    } else {
      return end();
    }
    if (doing_ == Doing::nothing) return State::done;
  }
  return state;
}

State MysqlLink::next_packet() {
  Result<std::optional<std::string>> next = task_->next(exchange_->results());
  if (!next) return give_up({.error = next.error(), .read_only = task_->read_only});
  return *next ? exchange_->start(std::move(**next)) : end();
}

// The connection stays of use: whatever was begun is undone.
State MysqlLink::give_up(SqlError error) {
  error_ = std::move(error);
  if (doing_ != Doing::task || !task_->in_transaction()) return end();
  doing_ = Doing::undo;
  return exchange_->start(mysql::kUndo);
}

State MysqlLink::end() {
  doing_ = Doing::nothing;
  return State::done;
}

Error MysqlLink::lost_error() const {
  if (const auto& error = exchange_->error()) return error->error;
  return make_error(Errc::io, "backup: the connection is lost");
}

Result<BackupSession> MysqlLink::looked() {
  Result<mysql::Look> look = mysql::look_of(exchange_->results());
  if (!look) return look.error();
  return std::move(look->session);
}

Result<std::unique_ptr<BackupLink>> MysqlDriver::open(int cancel_fd) {
  mysql::Connection connection(options_, options_.now().mono_us + options_.connect_timeout_us,
                               cancel_fd);
  const Result<void> open = connection.open();
  if (!open) return open.error();
  Result<mysql::Look> look = connection.set_up();
  if (!look) return look.error();
  return std::unique_ptr<BackupLink>(
      std::make_unique<MysqlLink>(connection.release(), std::move(look->session), look->limits));
}

}  // namespace stayd
