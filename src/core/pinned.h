// Connections that belong to one client for a while: WATCH .. EXEC, and commands that may block.
// Implemented by redis/pinned_pool.h. Loop thread only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/types.h"
#include "core/upstream.h"

namespace stayd {

inline constexpr std::size_t kMaxPinned = 64;  // Redis connections held for single clients

// What a client watches, and where: by its own connection to Redis, or as versions of rows.
struct Watch {
  bool in_redis = false;  // else in the versions below
  bool in_doubt = false;  // the keys are watched in different places
  std::vector<std::pair<FullKey, Hlc>> keys;
};

class Pinned {
 public:
  virtual ~Pinned() = default;
  // Sends on `client`'s own connection, made when it has none; waits for it to come up. False: the
  // pool is full, nothing was taken. Otherwise exactly one on_upstream_reply or on_upstream_lost.
  virtual bool send(std::uint64_t client, std::string_view request, int db, ReplyHandler& handler,
                    std::uint64_t tag, std::int64_t deadline_us, std::uint32_t replies) = 0;
  // True while `client` has a working connection of its own.
  virtual bool holds(std::uint64_t client) const = 0;
  // The id that Redis gave `client`'s own connection; 0: it has none that is up.
  virtual std::int64_t redis_id(std::uint64_t client) const = 0;
  // The client needs its connection no more; nothing is pending on it. It may serve another.
  virtual void release(std::uint64_t client) = 0;
  // The client is gone: what it waits for ends (on_upstream_lost) and the connection is closed.
  virtual void drop(std::uint64_t client) = 0;
};

}  // namespace stayd
