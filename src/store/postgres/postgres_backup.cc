#include "store/postgres/postgres_backup.h"

#include <algorithm>
#include <utility>

#include "store/backup/apply_write.h"
#include "store/postgres/pool.h"

namespace stayd {

PostgresBackup::PostgresBackup(PostgresOptions options, Waker& waker)
    : options_(std::move(options)), waker_(waker) {
  options_.connections = std::clamp(options_.connections, 1, kMaxPostgresConnections);
}

PostgresBackup::~PostgresBackup() = default;

void PostgresBackup::start() {
  STAYD_ASSERT(events_ != nullptr && options_.now);
  if (!pool_) pool_ = std::make_unique<Pool>(options_, waker_);
}

void PostgresBackup::write(BackupBatch batch, BackupToken token, std::int64_t deadline_us) {
  PostgresOperation operation;
  std::optional<Error> error = check_batch(batch);
  for (const BackupWrite& write : batch.writes) {
    operation.bytes += write.row.record.memory_bytes();
    operation.urgent |= write.row.state == RowState::tomb;
  }
  operation.request = PostgresWrite{std::move(batch)};
  operation.token = token;
  operation.deadline_us = deadline_us;
  ask(std::move(operation), std::move(error));
}

void PostgresBackup::read(std::vector<FullKey> keys, BackupToken token, std::int64_t deadline_us) {
  std::optional<Error> error = check_keys(keys);
  ask({PostgresRead{std::move(keys)}, token, deadline_us}, std::move(error));
}

void PostgresBackup::feed(FeedCursor after, std::size_t limit, BackupToken token,
                          std::int64_t deadline_us) {
  ask({PostgresFeed{std::move(after), limit}, token, deadline_us}, std::nullopt);
}

void PostgresBackup::ask(PostgresOperation operation, std::optional<Error> error) {
  if (!error && !pool_) error = make_error(Errc::unavailable, "backup: not started");
  if (!error) error = pool_->post(operation);
  if (!error) return;
  refused_.push_back({operation.token, std::move(*error), empty_result(operation)});
  if (refused_.size() == 1) waker_.wake();
}

void PostgresBackup::deliver() {
  for (PostgresReport& one : std::exchange(refused_, {})) report(one);
  if (!pool_) return;
  Pool::Output output = pool_->take();
  if (output.status_changed) events_->on_status(pool_->status());
  for (PostgresReport& one : output.reports) report(one);
  if (output.hint) events_->on_hint();
}

void PostgresBackup::report(PostgresReport& report) {
  if (auto* written = std::get_if<std::vector<BackupWritten>>(&report.result)) {
    events_->on_written(report.token, report.error, std::move(*written));
  } else if (auto* rows = std::get_if<std::vector<BackupRow>>(&report.result)) {
    events_->on_read(report.token, report.error, std::move(*rows));
  } else {
    events_->on_feed(report.token, report.error, std::move(std::get<FeedPage>(report.result)));
  }
}

BackupStatus PostgresBackup::status() const {
  BackupStatus out = pool_ ? pool_->status() : BackupStatus();
  if (!pool_) out.error = "backup: not started";
  return out;
}

}  // namespace stayd
