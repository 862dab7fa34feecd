// Keys of the ledger's column families (docs/formats/ledger.md, "Keys"). A logical database (0-15)
// is stored under a `space` byte; SWAPDB exchanges two entries of the table and moves no row. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/types.h"
#include "store/bytes.h"

namespace stayd {

using SpaceTable = std::array<std::uint8_t, kDatabases>;

inline SpaceTable identity_spaces() {
  SpaceTable table;
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = static_cast<std::uint8_t>(i);
  return table;
}

// `meta` and `tombs`: space byte, key bytes.
inline std::string row_key(const SpaceTable& spaces, std::string_view full) {
  std::string out(full);
  out[0] = static_cast<char>(spaces[static_cast<std::size_t>(db_of(full))]);
  return out;
}

// `elements`, without the element's name: space byte, u32 length of the key, key, u64 generation.
inline std::string element_prefix(std::string_view row_key, std::uint64_t generation) {
  std::string out;
  out.reserve(row_key.size() + 12);
  out.push_back(row_key[0]);
  append_big(out, static_cast<std::uint32_t>(row_key.size() - 1));
  out.append(row_key.substr(1));
  append_big(out, generation);
  return out;
}

struct ElementKey {
  std::string row_key;
  std::uint64_t generation = 0;
  bool valid = false;
};

inline ElementKey parse_element_key(std::string_view bytes) {
  ElementKey out;
  if (bytes.size() < 13) return out;
  const auto length = get_big<std::uint32_t>(bytes.data() + 1);
  if (length > bytes.size() - 13) return out;
  out.row_key.reserve(length + 1);
  out.row_key.push_back(bytes[0]);
  out.row_key.append(bytes.substr(5, length));
  out.generation = get_big<std::uint64_t>(bytes.data() + 5 + length);
  out.valid = true;
  return out;
}

}  // namespace stayd
