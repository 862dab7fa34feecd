// stayd's own keys in Redis. All start with one prefix, carry a TTL, and are invisible and
// unwritable through the Redis port; without stayd they vanish by themselves (I15).
//
//   stayd:{TAG}:canary:INSTANCE   heartbeat, one per instance and database (R11), 30 days
//   stayd:{TAG}:instances         who else is here: hash of instance -> last seen, 60 s
//   stayd:{TAG}:lease:HASH        repair lease of one key (R7), 2 s
//   stayd:{TAG}:wait:INSTANCE     written before a WAIT for replicas (logout_wait.h), 10 s
//   stayd:{TAG}:standby           that a Redis which is not in use takes writes, 60 s
//
// TAG is empty in a standalone Redis. In a Cluster it places the lease in the slot of its key, and
// the others in the highest slot of their shard; INSTANCE is then followed by ".SHARD". Where there
// are several Redises it is followed by "@NAME": a heartbeat that was copied from another one says
// nothing of this memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/place.h"

namespace stayd {

inline constexpr std::string_view kSidePrefix = "stayd:{";
inline constexpr std::int64_t kCanaryTtlMs = 30LL * 24 * 3600 * 1000;
inline constexpr std::int64_t kLeaseTtlMs = 2000;
inline constexpr std::int64_t kWaitTtlMs = 10'000;

inline constexpr std::int64_t kInstancesTtlMs = 60'000;

inline bool is_side_key(std::string_view key) {
  return key.starts_with(kSidePrefix);
}

inline std::string side_key(std::string_view tag, std::string_view rest) {
  return std::string(kSidePrefix).append(tag).append("}:").append(rest);
}

inline std::string instances_key(const ShardPlace& place) {
  return side_key(place.tag(), "instances");
}

inline std::string wait_key(const ShardPlace& place, std::string_view instance) {
  return side_key(place.tag(), "wait:").append(instance);
}

inline std::string canary_key(const ShardPlace& place, std::string_view instance,
                              std::string_view region = {}) {
  std::string key = side_key(place.tag(), "canary:").append(instance);
  if (!place.everything()) key.append(".").append(place.id());
  if (!region.empty()) key.append("@").append(region);
  return key;
}

inline std::string lease_key(const ShardPlace& place, std::string_view key) {
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a, 64 bits: a clash only delays a repair
  for (const char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = side_key(place.tag_beside(key), "lease:");
  for (int shift = 60; shift >= 0; shift -= 4) out.push_back(kHex[(hash >> shift) & 15]);
  return out;
}

}  // namespace stayd
