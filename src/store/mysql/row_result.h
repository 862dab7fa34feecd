// Rows of the backup out of results. Pure; any thread.
#pragma once

#include "store/backup/backup.h"
#include "store/mysql/exchange.h"
#include "store/value_codec.h"

namespace stayd::mysql {

// Columns as kHostColumns.
BackupHost host_of(const Rows& rows);

// Columns as kHeaderColumns; the record has no value.
BackupRow header_of(const Rows& rows);
// ... and `value` behind them. One that does not decode becomes `unreadable`.
BackupRow row_of(const Rows& rows, ValueCodec& values);

}  // namespace stayd::mysql
