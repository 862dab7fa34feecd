#include "store/open_backup.h"

#include "store/dynamodb/admin.h"
#include "store/dynamodb/dynamo_backup.h"
#include "store/dynamodb/url.h"
#include "store/mysql/admin.h"
#include "store/mysql/mysql_backup.h"
#include "store/mysql/url.h"
#include "store/postgres/admin.h"
#include "store/postgres/postgres_backup.h"

namespace stayd {

std::unique_ptr<PooledBackup> open_backup(BackupOptions options, Waker& waker) {
  if (mysql::is_url(options.url)) return std::make_unique<MysqlBackup>(std::move(options), waker);
  if (dynamo::is_url(options.url)) return std::make_unique<DynamoBackup>(std::move(options), waker);
  return std::make_unique<PostgresBackup>(std::move(options), waker);
}

std::unique_ptr<BackupAdmin> open_backup_admin(const BackupOptions& options) {
  if (mysql::is_url(options.url)) return std::make_unique<MysqlAdmin>(options);
  if (dynamo::is_url(options.url)) return std::make_unique<DynamoAdmin>(options);
  return std::make_unique<PostgresAdmin>(options);
}

}  // namespace stayd
