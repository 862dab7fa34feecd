// A connection that is waited for, with a deadline: how a connection of the backup begins, and what
// the command line uses. One thread at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "store/backup/link.h"
#include "store/mysql/exchange.h"
#include "store/mysql/task.h"

namespace stayd::mysql {

// Results of kLook.
struct Look {
  BackupSession session;  // without a ring
  Limits limits;
  std::string home, actual_home;  // where the data was when a stayd last looked, and where it is
};
Result<Look> look_of(std::vector<Rows>& results);

class Connection {
 public:
  // Waits until `deadline_us`, or until `cancel_fd` (-1: none) can be read. `options` outlive it.
  Connection(const BackupOptions& options, std::int64_t deadline_us, int cancel_fd)
      : options_(options), deadline_us_(deadline_us), cancel_fd_(cancel_fd) {}

  // Connects, and sets the session. unavailable: no such server, database, user, password; the
  // message says. invalid: the url.
  Result<void> open();
  // The look at the schema, and the ring. Data that has been moved gets its next era.
  Result<Look> set_up();

  // Results of one packet of statements, all of which went well.
  Result<std::vector<Rows>> exec(std::string packet);
  Result<std::string> ring_bytes();  // empty: there is none

  void extend(std::int64_t deadline_us) { deadline_us_ = deadline_us; }
  std::unique_ptr<Exchange> release() { return std::move(exchange_); }

 private:
  Result<void> until_done(Exchange::State state);

  const BackupOptions& options_;
  std::int64_t deadline_us_;
  const int cancel_fd_;
  std::unique_ptr<Exchange> exchange_;
};

}  // namespace stayd::mysql
