// A shared backup in a database: what is the same for all of them.
//
// Thread rule: made, used and closed on the engine loop; a thread of its own does the work
// (pool.h). Results arrive from deliver(), which the loop calls after `waker.wake()`.
//
// The destructor waits for that thread, and for the connection that is being opened: while a name
// is looked up or a password is asked for, as long as that takes (link.h).
//
// Failures: what cannot be done is reported (backup.h); connections are opened again and again,
// with growing pauses. While there is none, operations are refused at once with `unavailable`; more
// than kMaxBackupQueue at a time with `limit`.
#pragma once

#include <memory>
#include <vector>

#include "base/waker.h"
#include "store/backup/backup.h"
#include "store/backup/operation.h"
#include "store/backup/options.h"

namespace stayd {

class BackupDriver;
class Pool;

class PooledBackup : public Backup {
 public:
  ~PooledBackup() override;

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

 protected:
  // `waker` outlives this.
  PooledBackup(BackupOptions options, Waker& waker);
  // Its options are options(), which stay.
  virtual std::unique_ptr<BackupDriver> make_driver() = 0;
  const BackupOptions& options() const { return options_; }

 private:
  void ask(BackupOperation operation, std::optional<Error> error);
  void report(BackupReport& report);

  BackupOptions options_;
  Waker& waker_;
  BackupEvents* events_ = nullptr;
  std::vector<BackupReport> refused_;
  std::unique_ptr<Pool> pool_;  // from start() on
};

}  // namespace stayd
