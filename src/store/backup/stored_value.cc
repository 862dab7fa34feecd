#include "store/backup/stored_value.h"

#include "store/record_codec.h"

namespace stayd {

void set_stored(BackupRow& row, std::int64_t state, std::string_view value, ValueCodec& values) {
  row.state = state == 2 ? RowState::tomb : RowState::live;
  if (state == 1) {
    Result<Record> record = decode_value(value, values, row.key);
    if (record) row.record = std::move(*record);
    if (!record) row.unreadable = record.error().message;
  } else if (state != 2) {  // no reason to log anybody out
    row.unreadable = "unknown state " + std::to_string(state);
  }
}

Result<std::vector<BackupRow>> rows_in_order(const std::vector<FullKey>& keys,
                                             std::map<FullKey, BackupRow> found, bool repeats,
                                             bool beyond) {
  if (beyond) {
    return make_error(Errc::limit, "backup: more than 64 MB of values: read fewer keys at once");
  }
  std::vector<BackupRow> rows;
  rows.reserve(keys.size());
  for (const FullKey& key : keys) {
    const auto row = found.find(key);
    if (row == found.end()) {
      rows.emplace_back().key = key;
    } else if (repeats) {
      rows.push_back(row->second);
    } else {
      rows.push_back(std::move(row->second));
    }
  }
  return rows;
}

}  // namespace stayd
