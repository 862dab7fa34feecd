// Which DynamoDB table a URL names. Pure; any thread.
//
//   dynamodb://REGION/TABLE?profile=NAME&endpoint=http://127.0.0.1:8000
//
// The endpoint is the region's own unless it is said; over "http" nothing is encrypted. The profile
// is one of the shared credentials file (AWS_PROFILE otherwise).
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace stayd::dynamo {

struct Target {
  std::string region, table;
  std::string endpoint;  // scheme://host[:port]
  std::string host;      // of it, with the port where there is one: what is signed
  std::string profile;   // empty: what the environment says
};

bool is_url(std::string_view text);

// Errors: invalid.
Result<Target> parse_url(std::string_view text);

}  // namespace stayd::dynamo
