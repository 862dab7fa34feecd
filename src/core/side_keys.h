// stayd's own keys in Redis. All start with one prefix, carry a TTL, and are invisible and
// unwritable through the Redis port; without stayd they vanish by themselves (I15).
//
//   stayd:{TAG}:canary:INSTANCE   heartbeat, one per instance and database (R11), 30 days
//   stayd:{TAG}:instances         who else is here: hash of instance -> last seen, 60 s
//   stayd:{TAG}:lease:HASH        repair lease of one key (R7), 2 s
//
// TAG places a side key in its key's own Cluster slot; standalone Redis has no slots and TAG is
// empty.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace stayd {

inline constexpr std::string_view kSidePrefix = "stayd:{";
inline constexpr std::int64_t kCanaryTtlMs = 30LL * 24 * 3600 * 1000;
inline constexpr std::int64_t kLeaseTtlMs = 2000;

inline constexpr std::string_view kInstancesKey = "stayd:{}:instances";
inline constexpr std::int64_t kInstancesTtlMs = 60'000;

inline bool is_side_key(std::string_view key) {
  return key.starts_with(kSidePrefix);
}

inline std::string canary_key(std::string_view instance) {
  return "stayd:{}:canary:" + std::string(instance);
}

inline std::string lease_key(std::string_view key) {
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a, 64 bits: a clash only delays a repair
  for (const char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "stayd:{}:lease:";
  for (int shift = 60; shift >= 0; shift -= 4) out.push_back(kHex[(hash >> shift) & 15]);
  return out;
}

}  // namespace stayd
