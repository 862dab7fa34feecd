// Which database a URL is of. The only place that knows all of them.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "base/waker.h"
#include "store/backup/admin.h"
#include "store/backup/options.h"
#include "store/backup/pooled_backup.h"

namespace stayd {

// Where that is, for people: without user, password and options. Errors: invalid, and never with
// the password.
Result<std::string> backup_place(const std::string& url);

// What is of no database that we know is PostgreSQL's, which says what a URL begins with.
std::unique_ptr<PooledBackup> open_backup(BackupOptions options, Waker& waker);
// `options` outlive it.
std::unique_ptr<BackupAdmin> open_backup_admin(const BackupOptions& options);

}  // namespace stayd
