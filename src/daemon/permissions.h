// What stayd's user at Redis may not do, for `stayd check`. Found out without doing any of it:
// within MULTI Redis checks each command as it queues it, and the connection ends before EXEC. Not
// thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/advice.h"
#include "daemon/blocking_client.h"

namespace stayd {

// Whether it must be allowed to WAIT ([redis] logout_wait).
enum class LogoutsWait : bool { no, yes };

// `probe`: a connection of its own, logged in; of no use afterwards. `patterns`: the keys that are
// sessions. One problem, with the ACL rules that are missing, or one good finding. Errors:
// unavailable.
Result<std::vector<Finding>> judge_permissions(RedisProbe& probe, std::string_view user,
                                               const std::vector<std::string>& patterns,
                                               LogoutsWait logouts);

// A key that matches the glob, "sess:*" -> "sess:stayd-check".
std::string key_like(std::string_view glob);

}  // namespace stayd
