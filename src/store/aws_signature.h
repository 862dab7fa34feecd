// AWS' signatures of requests (Signature Version 4), in the query or in headers. Pure; any thread.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "store/aws_keys.h"

namespace stayd {

struct PresignedRequest {
  std::string host;  // all that is signed besides the query
  std::map<std::string, std::string> query;
  std::string region, service;
  std::int64_t expires_s = 900;
};

// "HOST/?QUERY&X-Amz-Signature=...", for GET of "/" and no body.
std::string presign(const PresignedRequest& request, const AwsKeys& keys, std::int64_t wall_ms);

struct SignedPost {
  std::map<std::string, std::string> headers;  // all that are signed, names in lower case; "host"
  std::string_view body;
  std::string region, service;
};

// The headers to send with a POST of "/": those that are there, x-amz-date, x-amz-security-token of
// temporary keys, and authorization. Good for 5 minutes by AWS' clock.
std::map<std::string, std::string> sign_post(const SignedPost& request, const AwsKeys& keys,
                                             std::int64_t wall_ms);

}  // namespace stayd
