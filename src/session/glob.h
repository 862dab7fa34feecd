// The glob patterns of HSCAN MATCH and its kin (stringmatchlen of Redis' util.c): * ? [a-z] [^a-z]
// and backslash. Pure; any thread. Linear but for the last `*`, which is retried.
#pragma once

#include <string_view>

namespace stayd {

bool element_matches(std::string_view pattern, std::string_view text);

}  // namespace stayd
