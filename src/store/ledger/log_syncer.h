// Syncs the log beside the ledger's thread, so that a slow fdatasync() keeps nobody waiting.
//
// It opens the files itself and never calls RocksDB, which aborts when a log is synced whose write
// has just failed. What was written before start() is on disk when the run has ended well. A run
// costs one fdatasync as long as one log grows: what has not grown since a good run is left out.
//
// start(), take() and wait() are called on one thread. Owns a thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/error.h"

namespace stayd {

// How much of each log is on disk, by file name.
using LogSizes = std::map<std::string, std::uintmax_t>;

// Syncs every log in RocksDB's folder `path` that is not on disk as `synced` has it, and the folder
// when a log is new. A file that vanishes meanwhile was written to table files. `synced` is brought
// up to date; after an error it is empty, because nothing is known of what the disk has then.
Result<void> sync_logs(const std::string& path, LogSizes& synced);

class LogSyncer {
 public:
  // Both are called on the syncer's thread. `before`: when a run begins; its error is the run's.
  // `on_end`: when the result of a run can be taken.
  explicit LogSyncer(std::string path, std::function<Result<void>()> before = nullptr,
                     std::function<void()> on_end = nullptr);
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
  const std::function<Result<void>()> before_;
  const std::function<void()> on_end_;
  bool started_ = false;  // the caller's view
  std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::idle;
  Result<void> result_;
  LogSizes synced_;  // the thread's own
  std::thread thread_;
};

}  // namespace stayd
