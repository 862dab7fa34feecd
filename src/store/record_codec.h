// The value of a record as one string of bytes, the same in every shared backup:
// docs/formats/backup.md, "Value". The expiry is not part of it.
//
// Pure functions on bytes, safe from any thread. Decoding never crashes and never guesses: bytes
// that are not a value give Errc::corrupt naming the offset, a later version Errc::newer_format.
// What decodes encodes to the same bytes again.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "session/record.h"
#include "store/value_codec.h"

namespace stayd {

inline constexpr std::uint8_t kValueVersion = 1;
inline constexpr std::uint8_t kPackedValueVersion = 2;

// `record.exists()`; parts of 4 GB and more do not occur (Redis' own limit is 512 MB).
std::string encode_value(const Record& record);

// A record without expiry.
Result<Record> decode_value(std::string_view bytes);

// The same for the row of `key`, sealed for it where `values` seals.
std::string encode_value(const Record& record, ValueCodec& values, std::string_view key);
Result<Record> decode_value(std::string_view bytes, ValueCodec& values, std::string_view key);

}  // namespace stayd
