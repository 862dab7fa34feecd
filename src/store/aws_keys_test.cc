#include "store/aws_keys.h"

#include <gtest/gtest.h>

#include <fstream>

namespace stayd {
namespace {

TEST(AwsKeys, KeysOfAProfile) {
  const char* text =
      "# a comment = none\n[default]\naws_access_key_id=A\naws_secret_access_key = s=/+\r\n"
      "\n[ other ]\naws_access_key_id = B\naws_secret_access_key = t\naws_session_token = u==\n"
      "[half]\naws_access_key_id = C";
  const auto first = keys_of_profile(text, "default");
  ASSERT_TRUE(first);
  EXPECT_EQ(first->id + " " + first->secret + " " + first->token, "A s=/+ ");
  const auto other = keys_of_profile(text, "other");
  ASSERT_TRUE(other);
  EXPECT_EQ(other->id + " " + other->secret + " " + other->token, "B t u==");
  for (const char* missing : {"half", "none", ""}) {
    const auto none = keys_of_profile(text, missing);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().message, std::string("no keys for the profile \"") + missing + "\"");
  }
}

TEST(AwsKeys, KeysAreLookedForAsAwsToolsDo) {
  const std::string path = testing::TempDir() + "stayd-aws-credentials";
  std::ofstream(path) << "[default]\naws_access_key_id=F\naws_secret_access_key=f\n";
  std::map<std::string, std::string> environment = {{"AWS_SHARED_CREDENTIALS_FILE", path},
                                                    {"AWS_ACCESS_KEY_ID", "E"}};
  EXPECT_EQ(find_aws_keys(aws_key_source(environment))->id, "F");
  environment["AWS_SECRET_ACCESS_KEY"] = "e";
  EXPECT_EQ(find_aws_keys(aws_key_source(environment))->id, "E");
  environment = {{"AWS_SHARED_CREDENTIALS_FILE", path}, {"AWS_PROFILE", "other"}};
  EXPECT_EQ(find_aws_keys(aws_key_source(environment)).error().message,
            path + ": no keys for the profile \"other\"");
  EXPECT_EQ(aws_key_source({{"HOME", "/h"}}).file, "/h/.aws/credentials");
  EXPECT_EQ(
      find_aws_keys(aws_key_source({{"HOME", "/nowhere"}})).error().message,
      "no AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, and /nowhere/.aws/credentials: No such "
      "file or directory");
}

}  // namespace
}  // namespace stayd
