// Where a stayd gets its AWS credentials from, in this order: the profile that its URL names; the
// environment; the shared credentials file; the container's agent (ECS, EKS); the instance's
// metadata (EC2, IMDSv2). Blocks, for 2 seconds a question at most; one thread.
// Source: https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/types.h"
#include "store/aws_keys.h"

namespace stayd::dynamo {

class KeyProvider {
 public:
  // `profile`: of the URL; empty: none.
  KeyProvider(std::map<std::string, std::string> environment, std::string profile)
      : environment_(std::move(environment)), profile_(std::move(profile)) {}

  // Keeps what lasts for kRenewMs yet. Errors: one sentence, of all that was tried.
  Result<AwsKeys> get(Now now);
  // They are about to expire: get() again.
  bool is_due(Now now) const;

  static constexpr std::int64_t kRenewMs = 5 * 60'000;

 private:
  Result<AwsKeys> of_container();
  Result<AwsKeys> of_instance();
  std::string variable(const char* name) const;

  const std::map<std::string, std::string> environment_;
  const std::string profile_;
  AwsKeys keys_;
  std::int64_t expires_ms_ = 0;  // 0: never
};

// As containers and instances answer: {"AccessKeyId": ..., "Expiration": "2026-11-29T12:00:00Z"}.
// `expires_ms`: Unix time; 0: it does not say. Errors: invalid.
Result<AwsKeys> keys_of_json(std::string_view text, std::int64_t& expires_ms);

std::map<std::string, std::string> process_environment();

}  // namespace stayd::dynamo
