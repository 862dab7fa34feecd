// A connection to DynamoDB for the pool: runs a task's requests, one set after the other. The
// backup thread's; it is opened on the connector's.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "store/dynamodb/connection.h"
#include "store/dynamodb/task.h"

namespace stayd {

// Shared by the driver and its links, on two threads.
struct DynamoKeys {
  std::mutex mutex;
  dynamo::KeyProvider provider;
};

class DynamoLink final : public BackupLink {
 public:
  DynamoLink(std::shared_ptr<dynamo::Service> service, std::shared_ptr<DynamoKeys> keys,
             std::unique_ptr<dynamo::Exchange> exchange, BackupSession session, std::string home);
  ~DynamoLink() override;

  int fd() const override { return exchange_->fd(); }
  bool wants_to_write() const override { return false; }  // the descriptor stands for both
  bool idle() const override { return doing_ == Doing::nothing; }
  Result<bool> start(const BackupOperation& operation) override;
  bool start_look() override;
  State advance() override;
  std::optional<SqlError> error() const override { return error_; }
  Error lost_error() const override;
  Result<BackupResult> result() override { return task_->finish(); }
  std::optional<FeedCursor> again() const override { return task_->again; }
  Result<BackupSession> looked() override;

 private:
  enum class Doing : std::uint8_t { nothing, task, look, settle };

  bool send(std::vector<dynamo::Request> requests, std::int64_t pause_us,
            std::int64_t valid_until_us);
  State next();
  State end();
  State look_is_done();
  State settled();

  const std::shared_ptr<dynamo::Service> service_;
  const std::shared_ptr<DynamoKeys> keys_;
  const std::unique_ptr<dynamo::Exchange> exchange_;
  const std::string home_;
  ValueCodec values_;  // of all its tasks, in front of which it stands
  std::unique_ptr<dynamo::Task> task_;
  Doing doing_ = Doing::nothing;
  std::vector<dynamo::Service::Left> settling_;
  std::optional<SqlError> error_;
  std::optional<Error> lost_;
  std::optional<Result<BackupSession>> looked_;
};

class DynamoDriver final : public BackupDriver {
 public:
  // `options` outlive this.
  explicit DynamoDriver(const BackupOptions& options);
  Result<std::unique_ptr<BackupLink>> open(int cancel_fd) override;
  bool has_hints() const override { return false; }
  int parallel_writes() const override { return kMaxBackupConnections; }

 private:
  const BackupOptions& options_;
  Result<std::shared_ptr<dynamo::Service>> service_;  // an error: of the URL
  std::shared_ptr<DynamoKeys> keys_;
};

}  // namespace stayd
