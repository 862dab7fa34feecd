// INFO and CONFIG GET as the Redis port gives them: made here while Redis is out, and Redis' own
// INFO adjusted so that clients see a standalone master whatever stands behind stayd. Pure.
#pragma once

#include <string>
#include <string_view>

#include "proxy/port_context.h"
#include "resp/request_parser.h"

namespace stayd {

inline constexpr std::string_view kRedisVersion = "7.0.15";

// The text of INFO for the sections named in args[1..] (none: all).
std::string local_info(const PortContext& context, const Args& args);

// A reply to INFO from Redis (bulk or verbatim; anything else comes back unchanged) with
// role:master, redis_mode:standalone and cluster_enabled:0.
std::string rewrite_info(std::string_view reply);

// CONFIG GET of the globs in args[2..]: appends a RESP3 map.
void append_config(std::string& out, const PortContext& context, const Args& args);

}  // namespace stayd
