// The shared backup in DynamoDB. The table: docs/formats/backup_dynamodb.md; why it is so:
// docs/adr/0018-dynamodb.md. It sends no hints: the feed is polled.
//
// Less than store/backup/backup.h says: of a batch that is not `together`, some rows may have been
// written and others not when it ends with `io` or `timed_out`; each row's write is done or not.
// `limit`: an item is at most 400 KB; together, 100 rows and 4 MB.
//
// Thread rule, failures: store/backup/pooled_backup.h.
#pragma once

#include <memory>

#include "store/backup/pooled_backup.h"

namespace stayd {

class DynamoBackup final : public PooledBackup {
 public:
  // `waker` outlives this.
  DynamoBackup(BackupOptions options, Waker& waker) : PooledBackup(std::move(options), waker) {}

 private:
  std::unique_ptr<BackupDriver> make_driver() override;
};

}  // namespace stayd
