// How a shared backup in a database is set up, with defaults. Plain values; read once, when it
// starts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/types.h"
#include "store/key_ring.h"

namespace stayd {

struct BackupOptions {
  // postgresql://user@host:port/database?sslmode=...: handed to libpq as it is, so that everything
  // it knows can be said there (several hosts, certificates, target_session_attrs).
  // mysql://user@host:port/database?ssl-mode=...: store/mysql/url.h.
  // dynamodb://region/table: store/dynamodb/url.h.
  std::string url;
  // Asked for each new connection, on the connector's thread; empty: the url's, or none.
  std::function<Result<std::string>()> password;
  // Open the key ring in the database, if there is one; values are sealed then. Asked for each new
  // connection, on the connector's thread; empty: there are none.
  std::function<MasterKeys()> master_keys;
  std::function<Now()> now;  // any thread
  std::uint64_t seed = 1;    // of the jitter
  // 1 to 8. Of two and more, one is kept free for logouts.
  int connections = 4;
  std::int64_t connect_timeout_us = 5'000'000;  // with everything until it can be used
  std::int64_t look_interval_us = 1'000'000;    // is it there, which epoch, what time is it
  std::int64_t look_deadline_us = 2'000'000;
  // While the server takes no writes: a connection is opened anew so often, and so finds the one
  // that a name or an address leads to since. Those that stand would never notice.
  std::int64_t reopen_interval_us = 3'000'000;
  // Full jitter: between nothing and a bound that doubles from the first to the last.
  std::int64_t first_backoff_us = 50'000;
  std::int64_t last_backoff_us = 5'000'000;

  MasterKeys keys() const { return master_keys ? master_keys() : MasterKeys(); }
};

inline constexpr int kMaxBackupConnections = 8;
inline constexpr std::size_t kMaxBackupQueue = 1024;            // operations
inline constexpr std::size_t kMaxBackupQueueBytes = 256 << 20;  // of their values, roughly

}  // namespace stayd
