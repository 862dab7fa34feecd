// Passwords for ElastiCache users of the kind "iam": a request that was never sent, signed with AWS
// credentials, in the query. Pure; any thread.
// Source: https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html
#pragma once

#include <cstdint>
#include <string>

#include "store/aws_keys.h"

namespace stayd {

struct IamUser {
  std::string user;   // the user's id, which must be its name too
  std::string cache;  // the replication group or serverless cache, in lower case
  std::string region;
  bool serverless = false;
};

// What logs in as this user for kTokenSeconds from now.
constexpr std::int64_t kTokenSeconds = 900;
std::string iam_token(const IamUser& user, const AwsKeys& keys, std::int64_t wall_ms);

}  // namespace stayd
