#include "store/postgres/row_result.h"

#include "store/backup/stored_value.h"
#include "store/bytes.h"
#include "store/postgres/params.h"

namespace stayd {

std::string_view bytes_at(const PGresult* result, int row, int column) {
  return {PQgetvalue(result, row, column),
          static_cast<std::size_t>(PQgetlength(result, row, column))};
}

std::int64_t int8_at(const PGresult* result, int row, int column) {
  const std::string_view bytes = bytes_at(result, row, column);
  if (bytes.size() == 2) return get_big<std::int16_t>(bytes.data());
  return bytes.size() == 8 ? get_big<std::int64_t>(bytes.data()) : 0;
}

bool bool_at(const PGresult* result, int row, int column) {
  return bytes_at(result, row, column) == std::string_view("\1", 1);
}

BackupHost host_of(const PGresult* result, int row) {
  BackupHost out;
  out.instance = unsigned_of(int8_at(result, row, 0));
  out.name = bytes_at(result, row, 1);
  out.hlc = static_cast<Hlc>(int8_at(result, row, 2));
  out.trusts_redis = bool_at(result, row, 3);
  out.shipped_to = static_cast<Hlc>(int8_at(result, row, 4));
  out.seen_ms = int8_at(result, row, 5);
  return out;
}

BackupRow row_of(const PGresult* result, int row, ValueCodec& values) {
  BackupRow out;
  out.key = bytes_at(result, row, 0);
  out.incarnation = static_cast<std::uint32_t>(int8_at(result, row, 1));
  out.through_redis = bool_at(result, row, 3);
  out.hlc = static_cast<Hlc>(int8_at(result, row, 4));
  out.touched_hlc = static_cast<Hlc>(int8_at(result, row, 5));
  set_stored(out, int8_at(result, row, 2), bytes_at(result, row, 11), values);
  out.record.expires_at_ms = int8_at(result, row, 6);
  out.created_at_ms = int8_at(result, row, 7);
  out.tomb_until_ms = int8_at(result, row, 8);
  out.change = static_cast<std::uint64_t>(int8_at(result, row, 9));
  out.origin = unsigned_of(int8_at(result, row, 10));
  return out;
}

}  // namespace stayd
