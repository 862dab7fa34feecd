#include "store/open_backup.h"

#include <fmt/format.h>

#include "store/dynamodb/admin.h"
#include "store/dynamodb/dynamo_backup.h"
#include "store/dynamodb/url.h"
#include "store/mysql/admin.h"
#include "store/mysql/mysql_backup.h"
#include "store/mysql/url.h"
#include "store/postgres/admin.h"
#include "store/postgres/postgres_backup.h"
#include "store/postgres/url.h"

namespace stayd {

Result<std::string> backup_place(const std::string& url) {
  if (dynamo::is_url(url)) {
    const auto target = dynamo::parse_url(url);
    if (!target) return target.error();
    return fmt::format("dynamodb://{}/{}", target->region, target->table);
  }
  if (!mysql::is_url(url)) return postgres_place(url);
  const auto target = mysql::parse_url(url);
  if (!target) return target.error();
  if (!target->socket.empty()) {
    return fmt::format("mysql://{}/{}", target->socket, target->database);
  }
  return fmt::format("mysql://{}:{}/{}", target->host, target->port, target->database);
}

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
