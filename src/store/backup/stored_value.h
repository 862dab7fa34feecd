// Rows as databases keep them. Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "store/backup/backup.h"
#include "store/value_codec.h"

namespace stayd {

// 1: live, 2: a tombstone. A value that does not decode becomes `unreadable`; so does another
// state, as a live row's. `row.key` is set; the record's expiry comes afterwards.
void set_stored(BackupRow& row, std::int64_t state, std::string_view value, ValueCodec& values);

// What a read of `keys` has found: one for each, in their order. limit: it went `beyond` what one
// read may return.
Result<std::vector<BackupRow>> rows_in_order(const std::vector<FullKey>& keys,
                                             const std::map<FullKey, BackupRow>& found,
                                             bool beyond);

}  // namespace stayd
