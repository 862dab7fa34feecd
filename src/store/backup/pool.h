// The backup's thread: a poll() loop over a few connections, a queue in front of them.
//
//   loop:  write/read/feed --inbox--> queue, logouts first --> an idle connection: one task, one
//          deliver() <- wake() <--outbox-- reports          <-- transaction; results
//
// One connection, the watch, listens for hints and looks each second whether the server is there,
// which data it has, and what time it is. Where there are others it does only that and logouts,
// which so never wait behind bulk.
//
// While the server is read-only, a new connection replaces one that stands, every few seconds: it
// may lead to another server.
//
// A connection whose operation has not been answered by its deadline is closed: a late answer would
// belong to someone else. post(), take(), status() and stop() are the engine loop's, everything
// else runs on the thread.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/waker.h"
#include "store/backup/connector.h"
#include "store/backup/link.h"
#include "store/backup/operation.h"

namespace stayd {

class Pool {
 public:
  // Starts the thread.
  Pool(std::unique_ptr<BackupDriver> driver, BackupOptions options, Waker& waker);
  ~Pool() { stop(); }

  // Moves from `operation` unless it is refused: too many are waiting (`limit`).
  std::optional<Error> post(BackupOperation& operation);

  struct Output {
    std::vector<BackupReport> reports;
    bool hint = false;
    bool status_changed = false;
  };
  Output take();
  BackupStatus status() const;
  void stop();  // what was not answered is not reported

 private:
  struct Link {
    std::unique_ptr<BackupLink> connection;
    bool watch = false;
    bool looking = false;
    std::optional<BackupOperation> operation;  // what it is at
    std::int64_t deadline_us = 0;
    std::int64_t started_us = 0;
    std::int64_t looked_us = 0;
    bool gone = false;
  };

  void run();
  bool take_inbox();
  void take_opened();
  int missing() const;
  void drop_surplus();
  void expire();
  void assign();
  void assign_to(Link& link);
  bool take_next(const Link& link, BackupOperation& out);
  void begin(Link& link, BackupOperation operation);
  void look(Link& link);
  bool hint_due() const;
  void hint(Link& link);
  void begin_own(Link& link);
  int bulk_writes() const;
  int timeout_ms() const;
  void wait();
  void advance(Link& link);
  void done(Link& link);
  void finish_operation(Link& link);
  void finish_look(Link& link);
  void lost(Link& link, const Error& error);
  void remove_gone();
  void down(const Error& error);
  void report(const BackupOperation& operation, const Error& error);
  void report(const BackupOperation& operation, BackupResult result);
  void publish();
  std::int64_t mono_us() const { return options_.now().mono_us; }

  const BackupOptions options_;
  const std::unique_ptr<BackupDriver> driver_;
  Waker& waker_;
  EventFd wake_;

  // The thread's own.
  Connector connector_;
  Random random_;
  std::vector<std::unique_ptr<Link>> links_;
  std::deque<BackupOperation> urgent_, queue_;
  std::vector<BackupReport> reports_;
  bool hinted_ = false;
  BackupStatus status_now_;
  bool hint_wanted_ = false;  // rows were removed, and nobody was told yet
  std::int64_t hinted_us_ = 0;
  bool tried_ = false;            // a connection has been opened, or has failed to
  std::int64_t opened_us_ = 0;    // when that was
  std::int64_t assigned_us_ = 0;  // which retries were due is judged by this

  // Shared.
  mutable std::mutex mutex_;
  bool stopping_ = false;
  std::vector<BackupOperation> inbox_;
  std::atomic<std::size_t> pending_ = 0, pending_bytes_ = 0;  // posted and not yet reported
  Output outbox_;
  BackupStatus status_;

  std::thread thread_;
};

}  // namespace stayd
