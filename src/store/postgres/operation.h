// What the loop asks of the backup thread, and what comes back. Plain values, moved between
// threads.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "store/backup/backup.h"

namespace stayd {

struct PostgresWrite {
  BackupBatch batch;
};
struct PostgresRead {
  std::vector<FullKey> keys;
};
struct PostgresFeed {
  FeedCursor after;
  std::size_t limit = 0;
};

struct PostgresOperation {
  std::variant<PostgresWrite, PostgresRead, PostgresFeed> request;
  BackupToken token = 0;
  std::int64_t deadline_us = 0;
  bool urgent = false;             // holds a tombstone
  std::size_t bytes = 0;           // rough, for the queue's limit
  std::int64_t not_before_us = 0;  // a retry
};

using PostgresResult = std::variant<std::vector<BackupWritten>, std::vector<BackupRow>, FeedPage>;

struct PostgresReport {
  BackupToken token = 0;
  Error error;
  PostgresResult result;
};

// The empty result of such an operation.
inline PostgresResult empty_result(const PostgresOperation& operation) {
  if (std::holds_alternative<PostgresWrite>(operation.request)) return std::vector<BackupWritten>();
  if (std::holds_alternative<PostgresRead>(operation.request)) return std::vector<BackupRow>();
  return FeedPage();
}

}  // namespace stayd
