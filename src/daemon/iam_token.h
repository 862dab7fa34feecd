// Passwords for ElastiCache users of the kind "iam": a request that was never sent, signed with AWS
// credentials (Signature Version 4, in the query). Pure; any thread.
// Sources: https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html,
// https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/error.h"

namespace stayd {

struct AwsKeys {
  std::string id;      // AWS_ACCESS_KEY_ID
  std::string secret;  // AWS_SECRET_ACCESS_KEY
  std::string token;   // AWS_SESSION_TOKEN; empty: they are not temporary
};

struct PresignedRequest {
  std::string host;  // all that is signed besides the query
  std::map<std::string, std::string> query;
  std::string region, service;
  std::int64_t expires_s = 900;
};

// "HOST/?QUERY&X-Amz-Signature=...", for GET of "/" and no body.
std::string presign(const PresignedRequest& request, const AwsKeys& keys, std::int64_t wall_ms);

struct IamUser {
  std::string user;   // the user's id, which must be its name too
  std::string cache;  // the replication group or serverless cache, in lower case
  std::string region;
  bool serverless = false;
};

// What logs in as this user for kTokenSeconds from now.
constexpr std::int64_t kTokenSeconds = 900;
std::string iam_token(const IamUser& user, const AwsKeys& keys, std::int64_t wall_ms);

// Where AWS credentials are taken from, as the AWS tools do it: the environment, or else a shared
// credentials file. Roles that only the instance's metadata knows are not asked for.
struct AwsKeySource {
  AwsKeys keys;         // of the environment; without an id: the file's
  std::string file;     // AWS_SHARED_CREDENTIALS_FILE, or ~/.aws/credentials
  std::string profile;  // AWS_PROFILE, or "default"
};
AwsKeySource aws_key_source(const std::map<std::string, std::string>& environment);
// Reads the file if it must. Errors: invalid, one sentence.
Result<AwsKeys> find_aws_keys(const AwsKeySource& source);

// The keys of one profile in the text of a shared credentials file (~/.aws/credentials). Errors:
// invalid, with the profile's name.
Result<AwsKeys> keys_of_profile(std::string_view text, std::string_view profile);

}  // namespace stayd
