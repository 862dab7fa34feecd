// One connection to a database that holds a shared backup, as the pool sees it: one thing at a
// time, never blocking; and what opens connections. Implementations: one in each backend's folder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "store/backup/operation.h"
#include "store/backup/options.h"
#include "store/key_ring.h"

namespace stayd {

// What the session said of itself and of the data, when it was opened or looked at.
struct BackupSession {
  std::string epoch;
  std::int64_t era_base = 0;  // another one: the data has moved
  bool writable = false;
  bool has_ring = false;  // values are sealed from now on
  std::int64_t clock_ms = 0;
  std::int64_t clock_error_ms = 0;      // beside what the round trip makes of it
  std::shared_ptr<const KeyRing> ring;  // nullptr: values are in clear
};

// What an error of a database means for us.
struct SqlError {
  std::string state;       // as the database names it, empty where there is none
  Error error;             // for whoever asked
  bool retry = false;      // the same again may go well at once: deadlock, serialisation
  bool read_only = false;  // writes are out, reads are not
  bool fatal = false;      // this connection is of no use any more
};

// The backup thread's.
class BackupLink {
 public:
  explicit BackupLink(BackupSession session) : session_(std::move(session)) {}
  virtual ~BackupLink() = default;
  const BackupSession& session() const { return session_; }

  virtual int fd() const = 0;
  virtual bool wants_to_write() const = 0;
  virtual bool idle() const = 0;

  // Each begins one thing, while idle. `operation` outlives it. An error: of the operation, which
  // has not begun. False: the connection is lost.
  virtual Result<bool> start(const BackupOperation& operation) = 0;
  virtual bool start_look() = 0;
  // Tells the others that something has changed. Only of a driver that has hints.
  virtual bool start_hint() { return true; }

  enum class State { waiting, done, lost };
  // After poll() or a start. done: it has ended, with error() or a result; lost: with the
  // connection, lost_error() says why.
  virtual State advance() = 0;
  virtual std::optional<SqlError> error() const = 0;
  virtual Error lost_error() const = 0;
  // Of an operation that has no error(). Once.
  virtual Result<BackupResult> result() = 0;
  // The feed is to be read again from here, instead of the result.
  virtual std::optional<FeedCursor> again() const { return std::nullopt; }
  virtual Result<BackupSession> looked() = 0;
  // Somebody has changed something, since it was asked last.
  virtual bool take_hint() { return false; }

 private:
  const BackupSession session_;
};

class BackupDriver {
 public:
  virtual ~BackupDriver() = default;
  // On the connector's thread, which it blocks until the connection stands, at most until
  // `options.connect_timeout_us` or until `cancel_fd` can be read. But for the host's name, which
  // the databases' libraries look up themselves, and for `options.password()`: these take as long
  // as they take.
  virtual Result<std::unique_ptr<BackupLink>> open(int cancel_fd) = 0;
  virtual bool has_hints() const = 0;
  // Writes without a logout that are under way at a time: where the database does one after the
  // other all the same, more would only stand in the way of logouts.
  virtual int parallel_writes() const = 0;
};

}  // namespace stayd
