// What the replies to a Shard's own requests are known by: kind, reconcile generation, database.
#pragma once

#include <cstdint>

namespace stayd {

enum TagKind : std::uint64_t {
  kTagIgnore = 1,
  kTagCanary = 2,
  kTagLast = 3,
  kTagBeat = 4,
  kTagInfo = 5,
  kTagInstances = 6,
  kTagLoads = 7,
  kTagTime = 8,
  kTagFlush = 9,
  kTagOthers = 11,
  kTagLeft = 10  // instead of a database: which of those asked for
};
inline std::uint64_t make_tag(TagKind kind, std::uint64_t generation, int db) {
  return static_cast<std::uint64_t>(kind) << 56 | (generation & 0xffffffffff) << 8 |
         static_cast<std::uint64_t>(db);
}

}  // namespace stayd
