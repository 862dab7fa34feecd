// AWS credentials, and where they are found without asking anybody. Any thread.
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

// Where AWS credentials are taken from, as the AWS tools do it: the environment, or else a shared
// credentials file.
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
