#include "store/mysql/mysql_backup.h"

#include "store/mysql/mysql_link.h"

namespace stayd {

std::unique_ptr<BackupDriver> MysqlBackup::make_driver() {
  return std::make_unique<MysqlDriver>(options());
}

}  // namespace stayd
