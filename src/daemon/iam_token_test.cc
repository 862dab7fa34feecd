// Tokens against those of another implementation.
#include "daemon/iam_token.h"

#include <gtest/gtest.h>

namespace stayd {
namespace {

const AwsKeys kKeys = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};

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

}  // namespace
}  // namespace stayd
