#include "session/scripts.h"

#include <openssl/sha.h>

#include <array>

#include "base/hex.h"
#include "resp/command_table.h"
#include "resp/numbers.h"

namespace stayd {
namespace {

struct Entry {
  std::string_view sha1;
  KnownScript script;
};

// Some libraries ship the same text with LF or CRLF line ends; both are listed.
constexpr std::array kScripts = {
    // phpredis, Laravel, redis-py
    Entry{"b70c2384248f88e6b75b9f89241a180f856ad852", KnownScript::compare_and_delete},
    Entry{"647c65a442733a1aa440f99908d249d13b4d6c4a", KnownScript::compare_and_delete},
    Entry{"c3f8721cbb97f72bc19e972846bd7aaf91901658", KnownScript::compare_and_delete},
    // redis-py reacquire, extend
    Entry{"1cac51482acf5858da00f6d685d68f886cd6b6b2", KnownScript::compare_and_expire},
    Entry{"a4e8783852e6b949f9ef3a97212805108459a890", KnownScript::compare_and_extend},
    // better-auth
    Entry{"ebd3cc05b1e73798b9e59a5db2d6c5dc10c862cc", KnownScript::incr_with_expiry},
    Entry{"0775ac0b9041d23a100b54ce39e3010003a22726", KnownScript::get_and_delete},
    // Redisson, newer (with an option) and older
    Entry{"3fd750e0b43af99dbd223e5523718f18cded3664", KnownScript::expire_all},
    Entry{"3adcab8843f28538b47f67950913e2a88189dddd", KnownScript::expire_all},
    Entry{"71dee1cdc1c23a6aa34dd4a3bbfb2b6dfb3f72cb", KnownScript::expire_at_all},
    Entry{"54484c7fdba50e06e5d89f6f23fe261a74d742c5", KnownScript::expire_at_all},
    Entry{"3e87b23af056c9bbfa98cb959044b3cb917003b9", KnownScript::persist_all},
    // ASP.NET: HSET (LF, CRLF), HMSET (LF, CRLF)
    Entry{"241ff9be272d2cc7ea3ff7a9c556b75e143d4c26", KnownScript::hash_set_with_expiry},
    Entry{"3915ee22fda531a1d5661f2523d0443fd35ff0a4", KnownScript::hash_set_with_expiry},
    Entry{"19d6145c6bb04ad20392ffe92c1a0d333ed7564e", KnownScript::hash_set_with_expiry},
    Entry{"2cf3a5ca51adf9b3b3500002e73e176dc3c54e26", KnownScript::hash_set_with_expiry},
};

bool same_hex(std::string_view any, std::string_view lower) {
  for (std::size_t i = 0; i < lower.size(); ++i) {
    const char c = any[i] >= 'A' && any[i] <= 'F' ? static_cast<char>(any[i] + 32) : any[i];
    if (c != lower[i]) return false;
  }
  return true;
}

}  // namespace

std::optional<KnownScript> known_script_by_sha1(std::string_view sha1) {
  if (sha1.size() != 40) return std::nullopt;
  for (const Entry& entry : kScripts) {
    if (same_hex(sha1, entry.sha1)) return entry.script;
  }
  return std::nullopt;
}

std::optional<KnownScript> known_script_by_text(std::string_view text) {
  // None of the known texts is longer; a longer one need not be hashed.
  constexpr std::size_t kLongestText = 1024;
  if (text.size() > kLongestText) return std::nullopt;
  return known_script_by_sha1(sha1_hex(text));
}

std::string sha1_hex(std::string_view text) {
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string_view script_keys_error(const Args& args) {
  std::int64_t keys = 0;
  if (!parse_integer(args[2], keys)) return "ERR value is not an integer or out of range";
  if (keys > static_cast<std::int64_t>(args.size()) - 3) {
    return "ERR Number of keys can't be greater than number of args";
  }
  return keys < 0 ? "ERR Number of keys can't be negative" : "";
}

std::string_view script_refusal(const Args& args) {
  const bool by_sha1 = equals_ignore_case(args[0], "evalsha");
  // Redis looks at the digest's length first.
  const std::string_view error = by_sha1 && args[1].size() != 40 ? "" : script_keys_error(args);
  if (!error.empty()) return error;
  return by_sha1 ? "NOSCRIPT No matching script. Please use EVAL."
                 : "ERR stayd: this script cannot run while Redis is out";
}

}  // namespace stayd
