// The shared backup in PostgreSQL (14 or newer). Schema: docs/formats/backup.md.
//
// Thread rule, failures: store/backup/pooled_backup.h.
#pragma once

#include <memory>

#include "store/backup/pooled_backup.h"

namespace stayd {

class PostgresBackup final : public PooledBackup {
 public:
  // `waker` outlives this.
  PostgresBackup(BackupOptions options, Waker& waker) : PooledBackup(std::move(options), waker) {}

 private:
  std::unique_ptr<BackupDriver> make_driver() override;
};

}  // namespace stayd
