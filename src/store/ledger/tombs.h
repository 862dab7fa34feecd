// The value of one entry of the `tombs` column family, the index that finds tombstones without
// walking live rows. The row in `meta` decides; an entry without such a row is a leftover. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/types.h"
#include "store/bytes.h"

namespace stayd {

struct TombEntry {
  Hlc hlc = 0;
  std::int64_t tomb_until_ms = 0;
};

inline std::string encode_tomb(const TombEntry& entry) {
  std::string out(16, '\0');
  put_little(put_little(out.data(), entry.hlc), entry.tomb_until_ms);
  return out;
}

inline std::optional<TombEntry> decode_tomb(std::string_view bytes) {
  if (bytes.size() != 16) return std::nullopt;
  return TombEntry{get_little<Hlc>(bytes.data()), get_little<std::int64_t>(bytes.data() + 8)};
}

}  // namespace stayd
