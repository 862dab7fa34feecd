// Which database a URL is of. The only place that knows all of them.
#pragma once

#include <memory>

#include "base/waker.h"
#include "store/backup/admin.h"
#include "store/backup/options.h"
#include "store/backup/pooled_backup.h"

namespace stayd {

// What is of no database that we know is PostgreSQL's, which says what a URL begins with.
std::unique_ptr<PooledBackup> open_backup(BackupOptions options, Waker& waker);
// `options` outlive it.
std::unique_ptr<BackupAdmin> open_backup_admin(const BackupOptions& options);

}  // namespace stayd
