// Syncs the log beside the ledger's thread, so that a slow fdatasync() keeps nobody waiting.
//
// It opens the files itself and never calls RocksDB, which aborts when a log is synced whose write
// has just failed. What was written before start() is on disk when the run has ended well.
//
// start(), take() and wait() are called on one thread. Owns a thread.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/error.h"

namespace stayd {

// Syncs every log in RocksDB's folder `path`, and the folder. A file that vanishes meanwhile was
// written to table files.
Result<void> sync_logs(const std::string& path);

class LogSyncer {
 public:
  explicit LogSyncer(std::string path);
  ~LogSyncer();  // ends the run that is under way
  LogSyncer(const LogSyncer&) = delete;
  LogSyncer& operator=(const LogSyncer&) = delete;

  // Requires that take() or wait() gave the result of the run before.
  void start();
  bool started() const { return started_; }
  // The result of the run, once it has ended.
  std::optional<Result<void>> take();
  // The same, however long it takes; requires started().
  Result<void> wait();

 private:
  enum class State { idle, wanted, ended, stopping };

  void run();

  const std::string path_;
  bool started_ = false;  // the caller's view
  std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::idle;
  Result<void> result_;
  std::thread thread_;
};

}  // namespace stayd
