// Rows as databases keep them. Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "store/backup/backup.h"
#include "store/value_codec.h"

namespace stayd {

// Why a refused write does not show the value that is there.
inline constexpr const char* kLeftOut = "left out: more than 64 MB of values in one answer";

// 1: live, 2: a tombstone. A value that does not decode becomes `unreadable`; so does another
// state, as a live row's. `row.key` is set; the record's expiry comes afterwards.
void set_stored(BackupRow& row, std::int64_t state, std::string_view value, ValueCodec& values);

// What a read of `keys` has found: one for each, in their order; `repeats`: some are named again.
// limit: it went `beyond` what one read may return.
Result<std::vector<BackupRow>> rows_in_order(const std::vector<FullKey>& keys,
                                             std::map<FullKey, BackupRow> found, bool repeats,
                                             bool beyond);

}  // namespace stayd
