#include "store/dynamodb/dynamo_backup.h"

#include "store/dynamodb/dynamo_link.h"

namespace stayd {

std::unique_ptr<BackupDriver> DynamoBackup::make_driver() {
  return std::make_unique<DynamoDriver>(options());
}

}  // namespace stayd
