// The shared backup in PostgreSQL (14 or newer). Schema: docs/formats/backup.md.
//
// Thread rule: made, used and closed on the engine loop; a thread of its own does the work
// (pool.h). Results arrive from deliver(), which the loop calls after `waker.wake()`.
//
// Failures: what cannot be done is reported (backup.h); connections are opened again and again,
// with growing pauses. While there is none, operations are refused at once with `unavailable`; more
// than kMaxPostgresQueue at a time with `limit`.
#pragma once

#include <memory>
#include <vector>

#include "base/waker.h"
#include "store/backup/backup.h"
#include "store/postgres/operation.h"
#include "store/postgres/options.h"

namespace stayd {

class Pool;

class PostgresBackup final : public Backup {
 public:
  // `waker` outlives this.
  PostgresBackup(PostgresOptions options, Waker& waker);
  ~PostgresBackup() override;

  // Calls BackupEvents for everything that has ended. The events may call this backup, not
  // deliver().
  void deliver();

  void set_events(BackupEvents* events) override { events_ = events; }
  void start() override;
  void write(BackupBatch batch, BackupToken token, std::int64_t deadline_us) override;
  void read(std::vector<FullKey> keys, BackupToken token, std::int64_t deadline_us) override;
  void feed(FeedCursor after, std::size_t limit, BackupToken token,
            std::int64_t deadline_us) override;
  BackupStatus status() const override;

 private:
  void ask(PostgresOperation operation, std::optional<Error> error);
  void report(PostgresReport& report);

  PostgresOptions options_;
  Waker& waker_;
  BackupEvents* events_ = nullptr;
  std::vector<PostgresReport> refused_;
  std::unique_ptr<Pool> pool_;  // from start() on
};

}  // namespace stayd
