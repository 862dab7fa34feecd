// One operation on a connection: the prepared statements it takes, sent together and one
// transaction together, and what their results mean. Pure; the backup thread's.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <vector>

#include "store/backup/operation.h"
#include "store/postgres/blocking_connection.h"
#include "store/postgres/params.h"
#include "store/postgres/sql_error.h"
#include "store/value_codec.h"

namespace stayd {

struct Execution {
  const char* statement;
  Params params;
  bool as_text = false;  // the result's fields
};

class Task {
 public:
  virtual ~Task() = default;
  const std::vector<Execution>& executions() const { return executions_; }
  // The rows of `executions()[index]`, once for each, in order.
  virtual void take(std::size_t index, const PGresult* result) = 0;
  // This error of an execution is no failure: finish() follows all the same.
  virtual bool is_meant(const SqlError&) const { return false; }
  // After all of them. An error: of the operation, not of the connection.
  virtual Result<BackupResult> finish() = 0;
  // Set by finish(): the operation is to be done again with this.
  std::optional<FeedCursor> again;

 protected:
  std::vector<Execution> executions_;
};

// Errors: limit. `operation` and `values` outlive the task.
Result<std::unique_ptr<Task>> make_write_task(const WriteRequest& operation,
                                              const BackupSession& session, ValueCodec& values);
Result<std::unique_ptr<Task>> make_task(const BackupOperation& operation,
                                        const BackupSession& session, ValueCodec& values);

}  // namespace stayd
