// What the loop asks of the backup thread, and what comes back. Plain values, moved between
// threads.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "store/backup/backup.h"

namespace stayd {

struct WriteRequest {
  BackupBatch batch;
};
struct ReadRequest {
  std::vector<FullKey> keys;
};
struct FeedRequest {
  FeedCursor after;
  std::size_t limit = 0;
};

struct BackupOperation {
  std::variant<WriteRequest, ReadRequest, FeedRequest> request;
  BackupToken token = 0;
  std::int64_t deadline_us = 0;
  bool urgent = false;             // holds a tombstone
  std::size_t bytes = 0;           // rough, for the queue's limit
  std::int64_t not_before_us = 0;  // a retry
};

using BackupResult = std::variant<std::vector<BackupWritten>, std::vector<BackupRow>, FeedPage>;

struct BackupReport {
  BackupToken token = 0;
  Error error;
  BackupResult result;
};

// The empty result of such an operation.
inline BackupResult empty_result(const BackupOperation& operation) {
  if (std::holds_alternative<WriteRequest>(operation.request)) return std::vector<BackupWritten>();
  if (std::holds_alternative<ReadRequest>(operation.request)) return std::vector<BackupRow>();
  return FeedPage();
}

}  // namespace stayd
