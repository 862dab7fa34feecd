// A connection to MySQL or MariaDB for the pool: runs a task's packets one after the other. The
// backup thread's; it is opened on the connector's.
#pragma once

#include <poll.h>

#include <memory>
#include <optional>

#include "store/backup/link.h"
#include "store/mysql/exchange.h"
#include "store/mysql/task.h"

namespace stayd {

class MysqlLink final : public BackupLink {
 public:
  MysqlLink(std::unique_ptr<mysql::Exchange> exchange, BackupSession session, mysql::Limits limits)
      : BackupLink(std::move(session)), exchange_(std::move(exchange)), limits_(limits) {
    values_.set_ring(this->session().ring);
  }

  int fd() const override { return exchange_->fd(); }
  // What has ended within its start is asked for at once.
  bool wants_to_write() const override { return ended_ || (exchange_->events() & POLLOUT) != 0; }
  bool idle() const override { return doing_ == Doing::nothing && !ended_; }
  Result<bool> start(const BackupOperation& operation) override;
  bool start_look() override;
  State advance() override;
  std::optional<SqlError> error() const override { return error_; }
  Error lost_error() const override;
  Result<BackupResult> result() override { return task_->finish(); }
  std::optional<FeedCursor> again() const override { return task_->again; }
  Result<BackupSession> looked() override;

 private:
  enum class Doing : std::uint8_t { nothing, task, undo, look };

  bool begin(Doing doing, std::string packet);
  State run(State state);
  State next_packet();
  State give_up(SqlError error);
  State end();

  const std::unique_ptr<mysql::Exchange> exchange_;
  const mysql::Limits limits_;
  ValueCodec values_;  // of all its tasks, in front of which it stands
  std::unique_ptr<mysql::Task> task_;
  Doing doing_ = Doing::nothing;
  std::optional<SqlError> error_;
  std::optional<State> ended_;  // before anybody has asked
};

class MysqlDriver final : public BackupDriver {
 public:
  // `options` outlive this.
  explicit MysqlDriver(const BackupOptions& options) : options_(options) {}
  Result<std::unique_ptr<BackupLink>> open(int cancel_fd) override;
  bool has_hints() const override { return false; }
  // One is written while the next one is prepared and waits.
  int parallel_writes() const override { return 2; }

 private:
  const BackupOptions& options_;
};

}  // namespace stayd
