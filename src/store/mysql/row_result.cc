#include "store/mysql/row_result.h"

#include "store/backup/stored_value.h"
#include "store/mysql/statements.h"

namespace stayd::mysql {

BackupHost host_of(const Rows& rows) {
  BackupHost out;
  out.instance = rows.number<std::uint64_t>(0);
  out.name = rows.bytes(1);
  out.hlc = rows.number<std::uint64_t>(2);
  out.trusts_redis = rows.number<std::int64_t>(3) != 0;
  out.shipped_to = rows.number<std::uint64_t>(4);
  out.seen_ms = rows.number<std::int64_t>(5);
  return out;
}

BackupRow header_of(const Rows& rows) {
  BackupRow out;
  out.key = rows.bytes(0);
  out.incarnation = static_cast<std::uint32_t>(rows.number<std::uint64_t>(1));
  out.state = rows.number<std::int64_t>(2) == 2 ? RowState::tomb : RowState::live;
  out.through_redis = rows.number<std::int64_t>(3) != 0;
  out.hlc = rows.number<std::uint64_t>(4);
  out.touched_hlc = rows.number<std::uint64_t>(5);
  out.record.expires_at_ms = rows.number<std::int64_t>(6);
  out.created_at_ms = rows.number<std::int64_t>(7);
  out.tomb_until_ms = rows.number<std::int64_t>(8);
  out.change = rows.number<std::uint64_t>(9);
  out.origin = rows.number<std::uint64_t>(10);
  return out;
}

BackupRow row_of(const Rows& rows, ValueCodec& values) {
  BackupRow out = header_of(rows);
  const std::int64_t expires_at_ms = out.record.expires_at_ms;
  set_stored(out, rows.number<std::int64_t>(2), rows.bytes(kHeaderColumnCount), values);
  out.record.expires_at_ms = expires_at_ms;
  return out;
}

}  // namespace stayd::mysql
