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

}  // namespace stayd
