// Signatures against AWS' published ones and those of another implementation.
#include "store/aws_signature.h"

#include <gtest/gtest.h>

namespace stayd {
namespace {

const AwsKeys kKeys = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};

std::string signature(const std::string& presigned) {
  return presigned.substr(presigned.rfind('=') + 1);
}

// AWS' signing test suite, "query-signed-request.txt" of get-vanilla-query-order-key-case and
// get-vanilla-query-unreserved.
TEST(AwsSignature, SignsAsTheTestSuiteOfAws) {
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
TEST(AwsSignature, PostsOfDynamodb) {
  constexpr std::int64_t kThenMs = 1'795'953'600'000;  // 2026-11-29T12:00:00Z
  SignedPost request;
  request.headers = {{"host", "127.0.0.1:8000"},
                     {"content-length", "49"},
                     {"content-type", "application/x-amz-json-1.0"},
                     {"x-amz-target", "DynamoDB_20120810.GetItem"}};
  request.body = "{\"TableName\":\"sessions\",\"Key\":{\"k\":{\"B\":\"AGE=\"}}}";
  request.region = "eu-west-1";
  request.service = "dynamodb";
  auto headers = sign_post(request, kKeys, kThenMs);
  EXPECT_EQ(headers["x-amz-date"], "20261129T120000Z");
  EXPECT_EQ(headers["authorization"],
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261129/eu-west-1/dynamodb/aws4_request, "
            "SignedHeaders=content-length;content-type;host;x-amz-date;x-amz-target, Signature="
            "1f516a71b21b1790d650448739e8b96073c693a882de1d4d15cb7768dd835da6");
  AwsKeys keys = kKeys;
  keys.token = "IQoJb3JpZ2luX2VjEA+/==";
  headers = sign_post(request, keys, kThenMs);
  EXPECT_EQ(headers["x-amz-security-token"], keys.token);
  EXPECT_EQ(signature(headers["authorization"]),
            "7123e32e54adcb90d517e5995378cf7be7f22fb01719e3a1cb6205a92ec1c585");
}

}  // namespace
}  // namespace stayd
