#include "store/ledger/info.h"

#include <fmt/format.h>

namespace stayd {
namespace {

constexpr char kInfoVersion = 1;
constexpr std::size_t kInfoBytes = 1 + 8 + 8 + kDatabases;

}  // namespace

std::string encode_info(const LedgerInfo& info) {
  std::string out(kInfoBytes, '\0');
  out[0] = kInfoVersion;
  char* at = put_little(put_little(out.data() + 1, info.highest_hlc), info.next_generation);
  for (const std::uint8_t space : info.spaces) *at++ = static_cast<char>(space);
  return out;
}

Result<LedgerInfo> decode_info(std::string_view bytes) {
  if (!bytes.empty() && bytes[0] > kInfoVersion) {
    return make_error(Errc::newer_format, fmt::format("info: byte 0: version {}", int{bytes[0]}));
  }
  if (bytes.size() != kInfoBytes || bytes[0] != kInfoVersion) {
    return make_error(Errc::corrupt,
                      fmt::format("info: {} bytes, {} expected", bytes.size(), kInfoBytes));
  }
  LedgerInfo info;
  info.highest_hlc = get_little<Hlc>(bytes.data() + 1);
  info.next_generation = get_little<std::uint64_t>(bytes.data() + 9);
  std::uint32_t seen = 0;
  for (std::size_t i = 0; i < info.spaces.size(); ++i) {
    info.spaces[i] = static_cast<std::uint8_t>(bytes[17 + i]);
    if (info.spaces[i] < kDatabases) seen |= 1U << info.spaces[i];
  }
  if (seen != (1U << kDatabases) - 1) {
    return make_error(Errc::corrupt, "info: byte 17: the database table is no permutation");
  }
  return info;
}

}  // namespace stayd
