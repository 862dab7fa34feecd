// The replicas that a primary names in INFO replication. Pure.
//
//   slave0:ip=10.0.0.2,port=6379,state=online,offset=1234,lag=0
//
// Source: https://redis.io/docs/latest/commands/info/
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stayd {

inline constexpr std::size_t kMaxReplicas = 16;  // of one primary; more are not looked at

struct NamedReplica {
  std::string address;       // "host:port", as the primary knows it
  bool online = false;       // has the whole data set, and follows
  std::uint64_t offset = 0;  // of the stream of writes, that it has confirmed
  std::int64_t lag_s = 0;    // since it last said so; it does each second
  friend bool operator==(const NamedReplica&, const NamedReplica&) = default;
};

std::vector<NamedReplica> replicas_of(std::string_view info);

}  // namespace stayd
