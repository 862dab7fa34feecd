// The address of the primary: redis://[user:password@]host[:port][/db] or
// unix:///path?db=N (redis+unix:// and redis-socket:// mean the same). Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "redis/transport.h"

namespace stayd {

struct RedisTarget {
  Endpoint endpoint;
  int db = 0;
  std::string user;
  std::string password;
};

// Errors: `invalid` with one sentence that names no password. Forms that later versions will speak
// (rediss://, redis+sentinel://, redis+cluster://) are refused by name.
Result<RedisTarget> parse_redis_url(std::string_view url);

}  // namespace stayd
