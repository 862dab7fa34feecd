// A connection to PostgreSQL for the pool: tasks in libpq's pipeline mode. The backup thread's; it
// is opened on the connector's.
#pragma once

#include <memory>
#include <optional>

#include "store/backup/link.h"
#include "store/postgres/pipeline.h"
#include "store/postgres/task.h"

namespace stayd {

class PostgresLink final : public BackupLink {
 public:
  PostgresLink(PgConnection connection, BackupSession session)
      : BackupLink(std::move(session)),
        pipeline_(std::move(connection)),
        writable_(this->session().writable) {
    values_.set_ring(this->session().ring);
  }

  int fd() const override { return pipeline_.fd(); }
  bool wants_to_write() const override { return pipeline_.wants_to_write(); }
  bool idle() const override { return pipeline_.idle(); }
  Result<bool> start(const BackupOperation& operation) override;
  bool start_look() override;
  bool start_hint() override;
  State advance() override { return pipeline_.advance(); }
  std::optional<SqlError> error() const override;
  Error lost_error() const override { return pipeline_.lost_error(); }
  Result<BackupResult> result() override { return task_->finish(); }
  std::optional<FeedCursor> again() const override { return task_->again; }
  Result<BackupSession> looked() override;
  bool take_hint() override;

 private:
  bool begin(std::unique_ptr<Task> task);

  Pipeline pipeline_;
  ValueCodec values_;  // of all its tasks, in front of which it stands
  std::unique_ptr<Task> task_;
  bool writable_;  // when it was looked last
  bool listens_ = false;
  bool hinted_ = false;
};

class PostgresDriver final : public BackupDriver {
 public:
  // `options` outlive this.
  explicit PostgresDriver(const BackupOptions& options) : options_(options) {}
  Result<std::unique_ptr<BackupLink>> open(int cancel_fd) override;
  bool has_hints() const override { return true; }
  int parallel_writes() const override { return kMaxBackupConnections; }

 private:
  const BackupOptions& options_;
};

}  // namespace stayd
