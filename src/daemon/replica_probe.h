// What `stayd check` asks of replicas, and of a primary about them. Not thread-safe.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/advice.h"
#include "daemon/blocking_client.h"

namespace stayd {

// `promoter`: see ReplicationFacts.
ReplicationFacts replication_facts(RedisProbe& primary, std::string promoter);

// Whether replicas can be asked from here: those of `addresses` ("host:port"), and those that the
// primary's `info` names, perhaps by addresses that only it can reach. `connect`: and log in.
std::vector<Finding> probe_replicas(
    std::vector<std::string> addresses, std::string_view info,
    const std::function<Result<RedisProbe>(const std::string& address)>& connect);

}  // namespace stayd
