// One operation on a connection: the packets of statements that it sends one after the other, each
// made of what the last one returned. Pure; the backup thread's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/backup/link.h"
#include "store/mysql/exchange.h"
#include "store/value_codec.h"

namespace stayd::mysql {

// What a connection knows beside its session.
struct Limits {
  std::size_t max_packet = 0;  // max_allowed_packet, which cannot change during a connection
};

class Task {
 public:
  virtual ~Task() = default;
  // The next packet; `results`: of the last one, none the first time. nullopt: there are no more,
  // finish() follows. An error: of the operation.
  virtual Result<std::optional<std::string>> next(std::vector<Rows>& results) = 0;
  virtual Result<BackupResult> finish() = 0;
  // What it has begun must be undone if it is given up.
  virtual bool in_transaction() const { return false; }
  // An error of next() was that the server is read-only.
  bool read_only = false;
  // Set by finish(): the operation is to be done again with this.
  std::optional<FeedCursor> again;
};

// `operation` and `values` outlive the task. Errors: limit.
Result<std::unique_ptr<Task>> make_write_task(const BackupBatch& batch, ValueCodec& values,
                                              Limits limits);
Result<std::unique_ptr<Task>> make_task(const BackupOperation& operation,
                                        const BackupSession& session, ValueCodec& values,
                                        Limits limits);

// limit: it is larger than the server takes.
std::optional<Error> check_packet(const std::string& packet, Limits limits);

}  // namespace stayd::mysql
