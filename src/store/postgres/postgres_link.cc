#include "store/postgres/postgres_link.h"

#include <utility>

namespace stayd {
namespace {

// What the watch asks; the first time also to be told of hints.
class LookTask final : public Task {
 public:
  explicit LookTask(bool listen) {
    executions_.push_back({"look", {}, true});
    if (listen) executions_.push_back({"listen", {}, true});
  }
  void take(std::size_t index, const PGresult* result) override {
    if (index == 0) session = session_of(result);
  }
  Result<BackupResult> finish() override { return BackupResult(); }

  Result<BackupSession> session = make_error(Errc::io, "backup: no answer");
};

class HintTask final : public Task {
 public:
  HintTask() { executions_.push_back({"hint", {}, true}); }
  void take(std::size_t, const PGresult*) override {}
  Result<BackupResult> finish() override { return BackupResult(); }
};

}  // namespace

Result<bool> PostgresLink::start(const BackupOperation& operation) {
  Result<std::unique_ptr<Task>> task = make_task(operation, session(), values_);
  if (!task) return task.error();
  return begin(std::move(*task));
}

bool PostgresLink::start_look() {
  // A standby tells nobody.
  const bool listen = !listens_ && writable_;
  listens_ |= listen;
  hinted_ |= listen;  // what others were told of before, this one was not
  return begin(std::make_unique<LookTask>(listen));
}

bool PostgresLink::start_hint() {
  return begin(std::make_unique<HintTask>());
}

bool PostgresLink::begin(std::unique_ptr<Task> task) {
  task_ = std::move(task);
  return pipeline_.start(*task_);
}

std::optional<SqlError> PostgresLink::error() const {
  const std::optional<SqlError>& error = pipeline_.error();
  return error && task_->is_meant(*error) ? std::nullopt : error;
}

Result<BackupSession> PostgresLink::looked() {
  Result<BackupSession> session = static_cast<LookTask&>(*task_).session;
  if (session) writable_ = session->writable;
  return session;
}

bool PostgresLink::take_hint() {
  // Of the look that began to listen, once it is done.
  const bool first = pipeline_.idle() && std::exchange(hinted_, false);
  return pipeline_.take_hint() || first;
}

Result<std::unique_ptr<BackupLink>> PostgresDriver::open(int cancel_fd) {
  BlockingConnection connection(options_, options_.now().mono_us + options_.connect_timeout_us,
                                cancel_fd);
  const Result<void> open = connection.open();
  if (!open) return open.error();
  Result<BackupSession> session = connection.set_up();
  if (!session) return session.error();
  return std::unique_ptr<BackupLink>(
      std::make_unique<PostgresLink>(connection.release(), std::move(*session)));
}

}  // namespace stayd
