// The shared backup in MariaDB (10.5 or newer) or MySQL (8.0 or newer). Schema:
// docs/formats/backup_mysql.md. It sends no hints: the feed is polled.
//
// Thread rule, failures: store/backup/pooled_backup.h.
#pragma once

#include <memory>

#include "store/backup/pooled_backup.h"

namespace stayd {

class MysqlBackup final : public PooledBackup {
 public:
  // `waker` outlives this.
  MysqlBackup(BackupOptions options, Waker& waker) : PooledBackup(std::move(options), waker) {}

 private:
  std::unique_ptr<BackupDriver> make_driver() override;
};

}  // namespace stayd
