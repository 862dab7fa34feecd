// The bytes of one row in the ledger's `meta` column family: docs/formats/ledger.md, "Row".
//
// Pure functions on bytes, safe from any thread. Decoding never crashes and never guesses: bytes
// that are not a row give Errc::corrupt naming the offset, a later version gives
// Errc::newer_format.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "session/record.h"

namespace stayd {

inline constexpr std::uint8_t kRowVersion = 4;
inline constexpr std::size_t kRowHeaderBytes = 68;    // version 1, 3
inline constexpr std::size_t kFleetHeaderBytes = 92;  // version 2, 4: rows of a fleet

// A row as stored. Strings and DUMP payloads stand behind the header; a collection's elements are
// keys of their own, under `generation`.
struct StoredRow {
  RowMeta meta;
  std::uint64_t generation = 0;  // of the elements; 0 unless a collection
  std::uint64_t elements = 0;    // how many there are
  // How the value is stored (docs/formats/at_rest.md): itself, or packed; and of the elements the
  // names too, which are hashed in their keys then.
  bool packed = false;
  bool hashed = false;
  std::string payload;  // string or DUMP bytes, packed where `packed` says so; empty otherwise

  friend bool operator==(const StoredRow&, const StoredRow&) = default;
};

inline bool is_collection(ValueType type) {
  return type == ValueType::hash || type == ValueType::set || type == ValueType::zset;
}

// Of version 1 unless the row says something of a fleet or is packed, so that an older stayd reads
// what it can know.
struct RowHeader {
  std::array<char, kFleetHeaderBytes> bytes{};
  std::uint8_t size = kRowHeaderBytes;

  std::string_view text() const { return {bytes.data(), size}; }
};

// The header; the payload follows it unchanged.
RowHeader encode_row_header(const StoredRow& row);
std::string encode_row(const StoredRow& row);

// Everything but the payload.
Result<StoredRow> decode_row_header(std::string_view bytes);
Result<StoredRow> decode_row(std::string_view bytes);

// A sorted-set score, as 8 bytes.
std::string encode_score(double score);
Result<double> decode_score(std::string_view bytes);

}  // namespace stayd
