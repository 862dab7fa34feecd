// A connection that is waited for, with a deadline: how a connection of the backup begins, and what
// the command line uses. One thread at a time.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "store/backup/link.h"
#include "store/backup/options.h"
#include "store/postgres/params.h"
#include "store/postgres/row_result.h"

namespace stayd {

struct ConnectionDeleter {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using PgConnection = std::unique_ptr<PGconn, ConnectionDeleter>;

class BlockingConnection {
 public:
  // Waits until `deadline_us`, or until `cancel_fd` (-1: none) can be read. `options` outlive it.
  //   unavailable  no such server, database, role, password; the message says
  BlockingConnection(const BackupOptions& options, std::int64_t deadline_us, int cancel_fd)
      : options_(options), deadline_us_(deadline_us), cancel_fd_(cancel_fd) {}

  Result<void> open();
  // Settings, the look at the schema, prepared statements. A copy of another backup (a restored
  // dump) becomes one of its own: its rows get the next era.
  Result<BackupSession> set_up();

  // Makes a key ring where there is none; wraps the one that is there under the first master key.
  // Inside of a transaction that nobody else is in as well.
  Result<void> make_ring();
  // nullptr: values are in clear. invalid: it does not open with the master keys, or there is none.
  Result<std::shared_ptr<const KeyRing>> ring();

  // The last result of these statements, fields as text.
  Result<PgResult> exec(const char* sql);
  // One statement; fields in binary format, or as text.
  Result<PgResult> exec(const char* sql, const Params& params, bool binary = true);

  void extend(std::int64_t deadline_us) { deadline_us_ = deadline_us; }
  PgConnection release() { return std::move(connection_); }

 private:
  Result<PgResult> results(int sent);
  Result<void> wait(short events);
  Result<BackupSession> look();
  Result<void> prepare();
  // nullopt: there is no table for it; empty: nothing in it.
  Result<std::optional<std::string>> ring_bytes();
  Error failed(const PGresult* result) const;

  const BackupOptions& options_;
  std::int64_t deadline_us_;
  const int cancel_fd_;
  PgConnection connection_;
};

// A row of kLook, as text. `era_base`: the era's first change.
Result<BackupSession> session_of(const PGresult* result);

}  // namespace stayd
