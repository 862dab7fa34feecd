#include "store/postgres/postgres_backup.h"

#include "store/postgres/postgres_link.h"

namespace stayd {

std::unique_ptr<BackupDriver> PostgresBackup::make_driver() {
  return std::make_unique<PostgresDriver>(options());
}

}  // namespace stayd
