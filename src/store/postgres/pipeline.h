// One connection in libpq's pipeline mode, with at most one task at a time. The backup thread's.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "store/backup/link.h"
#include "store/postgres/blocking_connection.h"
#include "store/postgres/sql_error.h"
#include "store/postgres/task.h"

namespace stayd {

class Pipeline {
 public:
  explicit Pipeline(PgConnection connection);

  int fd() const { return PQsocket(connection_.get()); }
  bool wants_to_write() const { return unsent_; }
  bool idle() const { return task_ == nullptr; }

  // Sends all of it. `task` outlives its execution. False: the connection is lost.
  bool start(Task& task);

  using State = BackupLink::State;
  // After poll() or start(). done: the task has ended, error() says how; lost: with the connection,
  // lost_error() says why.
  State advance();
  const std::optional<SqlError>& error() const { return error_; }
  Error lost_error() const;

  // Somebody has sent the hint since it was asked last.
  bool take_hint() { return std::exchange(hinted_, false); }

 private:
  bool send(const Execution& execution);
  bool flush();
  State read_results();
  void take(const PGresult* result);

  PgConnection connection_;
  Task* task_ = nullptr;
  std::size_t at_ = 0;  // which of its executions is being answered
  bool unsent_ = false;
  bool hinted_ = false;
  std::optional<SqlError> error_;
};

}  // namespace stayd
