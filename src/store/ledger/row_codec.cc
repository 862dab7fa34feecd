#include "store/ledger/row_codec.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "store/bytes.h"

namespace stayd {
namespace {

constexpr std::uint8_t kFlagStale = 1;
constexpr std::uint8_t kFlagProvisional = 2;
constexpr std::uint8_t kFlagAdopted = 4;
constexpr std::uint8_t kFlags = kFlagStale | kFlagProvisional | kFlagAdopted;
constexpr int kUnshippedShift = 3;  // two bits
constexpr std::uint8_t kUnshipped = 3 << kUnshippedShift;
constexpr std::uint8_t kFlagHashed = 32;
constexpr std::uint8_t kFlagThroughRedis = 64;
constexpr std::uint8_t kFleetFlags = kFlags | kUnshipped | kFlagThroughRedis;
constexpr std::size_t kElementsOffset = 60;
constexpr std::size_t kOriginOffset = 68;

bool of_fleet(const RowMeta& meta) {
  return meta.origin != 0 || meta.base != Version{} || meta.unshipped != Unshipped::nothing;
}

Error corrupt(std::size_t offset, std::string_view what) {
  return make_error(Errc::corrupt, fmt::format("row: byte {}: {}", offset, what));
}

// What a row may hold besides its header depends on its type.
Result<void> check_shape(const StoredRow& row, std::size_t header_bytes,
                         std::size_t payload_bytes) {
  const bool live = row.meta.state == RowState::live;
  const bool has_payload =
      live && (row.meta.type == ValueType::string || row.meta.type == ValueType::opaque);
  if (payload_bytes != 0 && !has_payload) {
    return corrupt(header_bytes,
                   fmt::format("{} bytes behind a row without payload", payload_bytes));
  }
  if (row.elements != 0 && !(live && is_collection(row.meta.type))) {
    return corrupt(kElementsOffset, "elements in a row that is no collection");
  }
  if (row.packed && (!live || row.meta.type == ValueType::none)) {
    return corrupt(0, fmt::format("version {} without a value", of_fleet(row.meta) ? 4 : 3));
  }
  if (row.hashed && !is_collection(row.meta.type)) return corrupt(3, "flag of a collection");
  return {};
}

}  // namespace

RowHeader encode_row_header(const StoredRow& row) {
  RowHeader header;
  const RowMeta& meta = row.meta;
  const bool fleet = of_fleet(meta);
  char* out = header.bytes.data();
  *out++ = static_cast<char>((fleet ? 2 : 1) + (row.packed ? 2 : 0));
  *out++ = static_cast<char>(meta.state);
  *out++ = static_cast<char>(meta.type);
  *out++ =
      static_cast<char>((meta.stale ? kFlagStale : 0) | (meta.provisional ? kFlagProvisional : 0) |
                        (meta.adopted ? kFlagAdopted : 0) | (row.hashed ? kFlagHashed : 0) |
                        static_cast<int>(meta.unshipped) << kUnshippedShift |
                        (fleet && meta.through_redis ? kFlagThroughRedis : 0));
  out = put_little(out, meta.incarnation);
  out = put_little(out, meta.hlc);
  out = put_little(out, meta.expires_at_ms);
  out = put_little(out, meta.created_at_ms);
  out = put_little(out, meta.tomb_until_ms);
  out = put_little(out, meta.mark.epoch);
  out = put_little(out, meta.mark.evicted_keys);
  out = put_little(out, row.generation);
  out = put_little(out, row.elements);
  if (fleet) {
    out = put_little(out, meta.origin);
    out = put_little(out, meta.base.hlc);
    out = put_little(out, meta.base.origin);
  }
  header.size = static_cast<std::uint8_t>(out - header.bytes.data());
  STAYD_ASSERT(header.size == (fleet ? kFleetHeaderBytes : kRowHeaderBytes));
  return header;
}

std::string encode_row(const StoredRow& row) {
  std::string out(encode_row_header(row).text());
  out += row.payload;
  return out;
}

Result<StoredRow> decode_row_header(std::string_view bytes) {
  if (bytes.empty()) return corrupt(0, "empty");
  const auto version = static_cast<std::uint8_t>(bytes[0]);
  if (version > kRowVersion) {
    return make_error(
        Errc::newer_format,
        fmt::format("row: byte 0: version {}, this stayd reads up to {}", version, kRowVersion));
  }
  if (version == 0) return corrupt(0, "version 0");
  const bool packed = version >= 3;
  const bool fleet = version == 2 || version == 4;
  const std::size_t header_bytes = fleet ? kFleetHeaderBytes : kRowHeaderBytes;
  if (bytes.size() < header_bytes) {
    return corrupt(bytes.size(), fmt::format("ends inside the header of {} bytes", header_bytes));
  }
  const auto state = static_cast<std::uint8_t>(bytes[1]);
  const auto type = static_cast<std::uint8_t>(bytes[2]);
  const auto flags = static_cast<std::uint8_t>(bytes[3]);
  if (state > static_cast<std::uint8_t>(RowState::tomb))
    return corrupt(1, fmt::format("state {}", state));
  if (type > static_cast<std::uint8_t>(ValueType::opaque))
    return corrupt(2, fmt::format("type {}", type));
  if ((flags & ~((fleet ? kFleetFlags : kFlags) | (packed ? kFlagHashed : 0))) != 0)
    return corrupt(3, fmt::format("flags {:#x}", flags));

  StoredRow row;
  row.meta.state = static_cast<RowState>(state);
  row.meta.type = static_cast<ValueType>(type);
  row.meta.stale = (flags & kFlagStale) != 0;
  row.meta.provisional = (flags & kFlagProvisional) != 0;
  row.meta.adopted = (flags & kFlagAdopted) != 0;
  row.packed = packed;
  row.hashed = (flags & kFlagHashed) != 0;
  const char* in = bytes.data();
  row.meta.incarnation = get_little<std::uint32_t>(in + 4);
  row.meta.hlc = get_little<std::uint64_t>(in + 8);
  row.meta.expires_at_ms = get_little<std::int64_t>(in + 16);
  row.meta.created_at_ms = get_little<std::int64_t>(in + 24);
  row.meta.tomb_until_ms = get_little<std::int64_t>(in + 32);
  row.meta.mark.epoch = get_little<std::uint32_t>(in + 40);
  row.meta.mark.evicted_keys = get_little<std::uint64_t>(in + 44);
  row.generation = get_little<std::uint64_t>(in + 52);
  row.elements = get_little<std::uint64_t>(in + kElementsOffset);
  if (fleet) {
    row.meta.unshipped = static_cast<Unshipped>((flags & kUnshipped) >> kUnshippedShift);
    row.meta.through_redis = (flags & kFlagThroughRedis) != 0;
    row.meta.origin = get_little<std::uint64_t>(in + kOriginOffset);
    row.meta.base.hlc = get_little<std::uint64_t>(in + kOriginOffset + 8);
    row.meta.base.origin = get_little<std::uint64_t>(in + kOriginOffset + 16);
    if (!of_fleet(row.meta))
      return corrupt(0, fmt::format("version {} without anything of a fleet", version));
  }
  const Result<void> shape = check_shape(row, header_bytes, bytes.size() - header_bytes);
  if (!shape) return shape.error();
  return row;
}

Result<StoredRow> decode_row(std::string_view bytes) {
  Result<StoredRow> row = decode_row_header(bytes);
  if (row)
    row->payload.assign(bytes.substr(of_fleet(row->meta) ? kFleetHeaderBytes : kRowHeaderBytes));
  return row;
}

std::string encode_score(double score) {
  std::string out(8, '\0');
  put_little(out.data(), std::bit_cast<std::uint64_t>(score));
  return out;
}

Result<double> decode_score(std::string_view bytes) {
  if (bytes.size() != 8) return corrupt(bytes.size(), "score: 8 bytes expected");
  const auto score = std::bit_cast<double>(get_little<std::uint64_t>(bytes.data()));
  if (std::isnan(score)) return corrupt(0, "score: not a number");
  return score;
}

}  // namespace stayd
