// The ledger's own small record, written with every batch so that a start need not scan:
// docs/formats/ledger.md, "Info". Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/types.h"
#include "store/ledger/keys.h"

namespace stayd {

inline constexpr std::string_view kInfoKey = "info";
inline constexpr std::string_view kFactPrefix = "fact/";
inline constexpr std::string_view kKeyRingKey = "keys";

struct LedgerInfo {
  Hlc highest_hlc = 0;
  std::uint64_t next_generation = 1;  // of elements; 0 is never given out
  SpaceTable spaces = identity_spaces();

  friend bool operator==(const LedgerInfo&, const LedgerInfo&) = default;
};

std::string encode_info(const LedgerInfo& info);
Result<LedgerInfo> decode_info(std::string_view bytes);

}  // namespace stayd
