// Where the primary is: redis://[user:password@]host[:port][/db], rediss:// the same over TLS,
// unix:///path?db=N (redis+unix:// and redis-socket:// mean the same), or who knows:
// redis+sentinel://[user:password@]host[:port],host[:port].../name[/db], whose user and password
// are for Redis; rediss+sentinel:// the same, all of it over TLS. Or who the shards of a Cluster
// are: redis+cluster://[user:password@]host[:port],host[:port]..., some of its nodes; and
// rediss+cluster://. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "redis/transport.h"

namespace stayd {

struct RedisTarget {
  static constexpr std::uint16_t kRedisPort = 6379, kSentinelPort = 26379;

  Endpoint endpoint;                // by Sentinel, and of a Cluster: not known()
  std::vector<Endpoint> sentinels;  // empty: the endpoint is the primary
  std::string primary_name;         // that the Sentinels know it by
  std::vector<Endpoint> seeds;      // some nodes of a Cluster; empty: it is none
  int db = 0;
  bool tls = false;
  std::string user;
  std::string password;

  bool by_sentinel() const { return !sentinels.empty(); }
  bool cluster() const { return !seeds.empty(); }
  std::string text() const;  // for people, without user and password
};

// Errors: `invalid` with one sentence that names no password.
Result<RedisTarget> parse_redis_url(std::string_view url);

}  // namespace stayd
