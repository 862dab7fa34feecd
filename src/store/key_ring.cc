#include "store/key_ring.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <optional>

#include "base/hex.h"
#include "store/bytes.h"

namespace stayd {
namespace {

constexpr char kRingVersion = 1;
constexpr std::size_t kIdBytes = 8;
constexpr std::size_t kHeaderBytes = 1 + kIdBytes;
constexpr std::size_t kEntryBytes = 4 + SecretKey::kBytes;
constexpr std::size_t kMaxMasterKeys = 8;

int digit_of(char c, int base) {
  if (base == 64) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
  }
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::optional<SecretKey> parse_key(std::string_view text) {
  const bool is_hex = text.size() == 2 * SecretKey::kBytes;
  if (!is_hex && text.ends_with('=')) text.remove_suffix(1);
  if (!is_hex && text.size() != 43) return std::nullopt;
  const int bits_each = is_hex ? 4 : 6;
  std::string bytes;
  std::uint32_t gathered = 0;
  int bits = 0;
  for (const char c : text) {
    const int digit = digit_of(c, is_hex ? 16 : 64);
    if (digit < 0) return std::nullopt;
    gathered = gathered << bits_each | static_cast<std::uint32_t>(digit);
    bits += bits_each;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push_back(static_cast<char>(gathered >> bits));
  }
  SecretKey key(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return key;
}

std::string raw_id(const SecretKey& master) {
  return hmac_sha256(master.bytes(), {"stayd master key id"}).substr(0, kIdBytes);
}

Error corrupt(std::string_view what) {
  return make_error(Errc::corrupt, fmt::format("key ring: {}", what));
}

}  // namespace

Result<MasterKeys> parse_master_keys(std::string_view text) {
  constexpr std::string_view kBetween = ", \t\r\n";
  MasterKeys keys;
  for (;;) {
    text.remove_prefix(std::min(text.size(), text.find_first_not_of(kBetween)));
    if (text.empty()) break;
    const std::size_t size = std::min(text.size(), text.find_first_of(kBetween));
    const auto key = parse_key(text.substr(0, size));
    if (!key || keys.size() == kMaxMasterKeys) {
      return make_error(
          Errc::invalid,
          key ? fmt::format("more than {} keys", kMaxMasterKeys)
              : fmt::format("key {} is not 32 bytes as 64 hexadecimal digits or as base64 "
                            "(openssl rand -hex 32)",
                            keys.size() + 1));
    }
    keys.push_back(*key);
    text.remove_prefix(size);
  }
  if (keys.empty()) return make_error(Errc::invalid, "no key");
  return keys;
}

std::string master_key_id(const SecretKey& key) {
  return to_hex(raw_id(key));
}

KeyRing KeyRing::make() {
  KeyRing ring;
  ring.name_key_ = SecretKey::random();
  ring.data_keys_.push_back({1, SecretKey::random()});
  return ring;
}

std::string KeyRing::wrap(const SecretKey& master, std::string_view owner) const {
  std::string plain(name_key_.bytes());
  for (const DataKey& one : data_keys_) {
    char id[4];
    put_little(id, one.id);
    plain.append(id, sizeof id);
    plain += one.key.bytes();
  }
  std::string out(1, kRingVersion);
  out += raw_id(master);
  const std::string header = out;
  Sealer(master).seal(plain, {"k", header, owner}, out);
  OPENSSL_cleanse(plain.data(), plain.size());
  return out;
}

std::string KeyRing::master_of(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes || bytes[0] != kRingVersion) return "";
  return to_hex(bytes.substr(1, kIdBytes));
}

Result<KeyRing> KeyRing::unwrap(std::string_view bytes, const MasterKeys& masters,
                                std::string_view owner) {
  if (!bytes.empty() && static_cast<unsigned char>(bytes[0]) > kRingVersion) {
    return make_error(Errc::newer_format, fmt::format("key ring: byte 0: version {}",
                                                      static_cast<unsigned char>(bytes[0])));
  }
  if (bytes.size() < kHeaderBytes || bytes[0] != kRingVersion) return corrupt("no header");
  const std::string_view header = bytes.substr(0, kHeaderBytes);
  const auto master = std::find_if(masters.begin(), masters.end(), [&](const SecretKey& key) {
    return raw_id(key) == header.substr(1);
  });
  if (master == masters.end()) {
    return make_error(Errc::invalid,
                      fmt::format("sealed under the master key {}", to_hex(header.substr(1))));
  }
  auto plain = Sealer(*master).open(bytes.substr(kHeaderBytes), {"k", header, owner});
  if (!plain) return corrupt("does not open under its master key: its bytes have changed");
  const std::string_view keys =
      std::string_view(*plain).substr(std::min<std::size_t>(plain->size(), SecretKey::kBytes));
  if (keys.empty() || keys.size() % kEntryBytes != 0) return corrupt("is of a wrong size");
  KeyRing ring;
  ring.name_key_ = SecretKey(std::string_view(*plain).substr(0, SecretKey::kBytes));
  for (std::size_t at = 0; at < keys.size(); at += kEntryBytes) {
    const auto id = get_little<std::uint32_t>(keys.data() + at);
    const std::uint32_t last = ring.data_keys_.empty() ? 0 : ring.data_keys_.back().id;
    if (id <= last) return corrupt("data keys out of order");
    ring.data_keys_.push_back({id, SecretKey(keys.substr(at + 4, SecretKey::kBytes))});
  }
  OPENSSL_cleanse(plain->data(), plain->size());
  return ring;
}

bool KeyRing::add_data_key(bool all_sealed) {
  if (all_sealed) data_keys_ = {active()};
  if (data_keys_.size() >= kMaxDataKeys) return false;
  data_keys_.push_back({active().id + 1, SecretKey::random()});
  return true;
}

}  // namespace stayd
