// Signatures against AWS' published ones and those of another implementation.
#include "daemon/iam_token.h"

#include <gtest/gtest.h>

#include <fstream>

namespace stayd {
namespace {

const AwsKeys kKeys = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};

std::string signature(const std::string& presigned) {
  return presigned.substr(presigned.rfind('=') + 1);
}

// AWS' signing test suite, "query-signed-request.txt" of get-vanilla-query-order-key-case and
// get-vanilla-query-unreserved.
TEST(IamToken, SignsAsTheTestSuiteOfAws) {
  constexpr std::int64_t kThenMs = 1'440'938'160'000;  // 2015-08-30T12:36:00Z
  PresignedRequest request;
  request.host = "example.amazonaws.com";
  request.region = "us-east-1";
  request.service = "service";
  request.expires_s = 3'600;
  request.query = {{"Param2", "value2"}, {"Param1", "value1"}};
  EXPECT_EQ(signature(presign(request, kKeys, kThenMs)),
            "86012e2c9ad4d77369f5d81c11f75158aae4f895a085212cc6d3f923d300bed5");
  const std::string all = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  request.query = {{all, all}};
  EXPECT_EQ(signature(presign(request, kKeys, kThenMs)),
            "8e76a88a7433637b12778d5592799b29ad21ecd6cf6325051c21d86f0acda2bf");
}

// The signatures are those of the npm package aws4 1.13.2.
TEST(IamToken, TokensOfElastiCache) {
  constexpr std::int64_t kThenMs = 1'795'953'600'000;  // 2026-11-29T12:00:00Z
  EXPECT_EQ(iam_token({"app", "my-cache", "eu-west-1", false}, kKeys, kThenMs),
            "my-cache/?Action=connect&User=app&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
            "AKIDEXAMPLE%2F20261129%2Feu-west-1%2Felasticache%2Faws4_request&X-Amz-Date="
            "20261129T120000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature="
            "346af7b844e7d828b227660c6212abd6c419dc20705f239e5a410856c39e24d9");
  AwsKeys keys = kKeys;
  keys.token = "IQoJb3JpZ2luX2VjEA+/==";
  EXPECT_EQ(iam_token({"app-1", "my-cache", "us-east-2", true}, keys, kThenMs),
            "my-cache/?Action=connect&ResourceType=ServerlessCache&User=app-1&X-Amz-Algorithm="
            "AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20261129%2Fus-east-2%2Felasticache%2F"
            "aws4_request&X-Amz-Date=20261129T120000Z&X-Amz-Expires=900&X-Amz-Security-Token="
            "IQoJb3JpZ2luX2VjEA%2B%2F%3D%3D&X-Amz-SignedHeaders=host&X-Amz-Signature="
            "0b076c4befe6d865f054dbc8d1d4b57d41c7904bef01b30392f6049c9038ffad");
}

TEST(IamToken, KeysOfAProfile) {
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

TEST(IamToken, KeysAreLookedForAsAwsToolsDo) {
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
