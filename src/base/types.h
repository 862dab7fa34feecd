// The vocabulary types every floor shares. Plain values, no thread affinity, no ownership
// surprises.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace stayd {

// A point in time, handed in by the caller; nothing below `net/` and `daemon/` reads a clock.
//   mono_us  microseconds on CLOCK_BOOTTIME (counts while the machine sleeps), for deadlines and
//   ages wall_ms  milliseconds since the Unix epoch, for expiry of sessions
struct Now {
  std::int64_t mono_us = 0;
  std::int64_t wall_ms = 0;
};

// Hybrid logical clock: 48 bits of wall milliseconds, 16 bits of counter. Strictly increasing in
// one process and across its restarts. It is both a row's version and a position in the log of
// changes. Source: Kulkarni et al., "Logical Physical Clocks", 2014.
using Hlc = std::uint64_t;

// A key together with its database: one byte of database number (0-15), then the key's own bytes.
// One flat string, so that it is a map key, a RocksDB key suffix and a log field without
// conversion.
using FullKey = std::string;

inline constexpr int kDatabases = 16;

// Into memory that `out` has already, where it is enough.
inline void assign_full_key(FullKey& out, int db, std::string_view key) {
  out.clear();
  out.reserve(key.size() + 1);
  out.push_back(static_cast<char>(db));
  out.append(key);
}
inline FullKey full_key(int db, std::string_view key) {
  FullKey out;
  assign_full_key(out, db, key);
  return out;
}
inline int db_of(std::string_view full) {
  return static_cast<unsigned char>(full[0]);
}
inline std::string_view key_of(std::string_view full) {
  return full.substr(1);
}

// What an outage, an eviction or an external delete is told apart by: the shard's trust epoch and
// Redis' evicted_keys counter when Redis last confirmed a row (rule R4 of docs/architecture.md).
struct Mark {
  std::uint32_t epoch = 0;
  std::uint64_t evicted_keys = 0;
  friend bool operator==(const Mark&, const Mark&) = default;
};

}  // namespace stayd
