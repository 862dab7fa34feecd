// Where the primary is: redis://[user:password@]host[:port][/db], rediss:// the same over TLS,
// unix:///path?db=N (redis+unix:// and redis-socket:// mean the same), or who knows:
// redis+sentinel://[user:password@]host[:port],host[:port].../name[/db], whose user and password
// are for Redis; rediss+sentinel:// the same, all of it over TLS. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "redis/transport.h"

namespace stayd {

struct RedisTarget {
  static constexpr std::uint16_t kRedisPort = 6379, kSentinelPort = 26379;

  Endpoint endpoint;                // by Sentinel: not known()
  std::vector<Endpoint> sentinels;  // empty: the endpoint is the primary
  std::string primary_name;         // that the Sentinels know it by
  int db = 0;
  bool tls = false;
  std::string user;
  std::string password;

  bool by_sentinel() const { return !sentinels.empty(); }
  std::string text() const;  // for people, without user and password
};

// Errors: `invalid` with one sentence that names no password. Forms that later versions will speak
// (redis+cluster://) are refused by name.
Result<RedisTarget> parse_redis_url(std::string_view url);

}  // namespace stayd
