#include "store/backup/pooled_backup.h"

#include <algorithm>
#include <utility>

#include "store/backup/apply_write.h"
#include "store/backup/pool.h"

namespace stayd {

PooledBackup::PooledBackup(BackupOptions options, Waker& waker)
    : options_(std::move(options)), waker_(waker) {
  options_.connections = std::clamp(options_.connections, 1, kMaxBackupConnections);
}

PooledBackup::~PooledBackup() = default;

void PooledBackup::start() {
  STAYD_ASSERT(events_ != nullptr && options_.now);
  if (!pool_) pool_ = std::make_unique<Pool>(make_driver(), options_, waker_);
}

void PooledBackup::write(BackupBatch batch, BackupToken token, std::int64_t deadline_us) {
  BackupOperation operation;
  std::optional<Error> error = check_batch(batch);
  for (const BackupWrite& write : batch.writes) {
    operation.bytes += write.row.record.memory_bytes();
    operation.urgent |= write.row.state == RowState::tomb;
  }
  operation.request = WriteRequest{std::move(batch)};
  operation.token = token;
  operation.deadline_us = deadline_us;
  ask(std::move(operation), std::move(error));
}

void PooledBackup::read(std::vector<FullKey> keys, BackupToken token, std::int64_t deadline_us) {
  std::optional<Error> error = check_keys(keys);
  ask({ReadRequest{std::move(keys)}, token, deadline_us}, std::move(error));
}

void PooledBackup::feed(FeedCursor after, std::size_t limit, BackupToken token,
                        std::int64_t deadline_us) {
  ask({FeedRequest{std::move(after), limit}, token, deadline_us}, std::nullopt);
}

void PooledBackup::ask(BackupOperation operation, std::optional<Error> error) {
  if (!error && !pool_) error = make_error(Errc::unavailable, "backup: not started");
  if (!error) error = pool_->post(operation);
  if (!error) return;
  refused_.push_back({operation.token, std::move(*error), empty_result(operation)});
  if (refused_.size() == 1) waker_.wake();
}

void PooledBackup::deliver() {
  for (BackupReport& one : std::exchange(refused_, {})) report(one);
  if (!pool_) return;
  Pool::Output output = pool_->take();
  if (output.status_changed) events_->on_status(pool_->status());
  for (BackupReport& one : output.reports) report(one);
  if (output.hint) events_->on_hint();
}

void PooledBackup::report(BackupReport& report) {
  if (auto* written = std::get_if<std::vector<BackupWritten>>(&report.result)) {
    events_->on_written(report.token, report.error, std::move(*written));
  } else if (auto* rows = std::get_if<std::vector<BackupRow>>(&report.result)) {
    events_->on_read(report.token, report.error, std::move(*rows));
  } else {
    events_->on_feed(report.token, report.error, std::move(std::get<FeedPage>(report.result)));
  }
}

BackupStatus PooledBackup::status() const {
  BackupStatus out = pool_ ? pool_->status() : BackupStatus();
  if (!pool_) out.error = "backup: not started";
  return out;
}

}  // namespace stayd
