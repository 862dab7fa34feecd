#include "store/dynamodb/url.h"

#include <gtest/gtest.h>

namespace stayd::dynamo {
namespace {

TEST(DynamodbUrl, SaysRegionTableAndEndpoint) {
  const auto plain = parse_url("dynamodb://eu-west-1/sessions");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->region, "eu-west-1");
  EXPECT_EQ(plain->table, "sessions");
  EXPECT_EQ(plain->endpoint, "https://dynamodb.eu-west-1.amazonaws.com");
  EXPECT_EQ(plain->host, "dynamodb.eu-west-1.amazonaws.com");
  EXPECT_EQ(plain->profile, "");
  EXPECT_EQ(parse_url("dynamodb://cn-north-1/abc")->host, "dynamodb.cn-north-1.amazonaws.com.cn");
  const auto full =
      parse_url("dynamodb://us-east-2/my_table.1?endpoint=http://127.0.0.1:8000&profile=web app");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->endpoint, "http://127.0.0.1:8000");
  EXPECT_EQ(full->host, "127.0.0.1:8000");
  EXPECT_EQ(full->profile, "web app");
}

TEST(DynamodbUrl, WhatIsNoneIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"mysql://a/b", "does not begin"},
      {"dynamodb://", "no region"},
      {"dynamodb:///table", "no region"},
      {"dynamodb://eu-west-1", "no table"},
      {"dynamodb://eu-west-1/", "no table"},
      {"dynamodb://eu-west-1/ab", "no table"},
      {"dynamodb://eu-west-1/a/b", "no table"},
      {"dynamodb://user:secret@eu-west-1/abc", "no region"},
      {"dynamodb://eu-west-1/abc?", "none of these options"},
      {"dynamodb://eu-west-1/abc?profile=", "none of these options"},
      {"dynamodb://eu-west-1/abc?x=1", "none of these options"},
      {"dynamodb://eu-west-1/abc?endpoint=ftp://x", "the endpoint"},
      {"dynamodb://eu-west-1/abc?endpoint=http://x/y", "the endpoint"},
      {"dynamodb://eu-west-1/abc?endpoint=http://", "the endpoint"},
  };
  for (const auto& [text, part] : cases) {
    const auto none = parse_url(text);
    ASSERT_FALSE(none) << text;
    EXPECT_NE(none.error().message.find(part), std::string::npos) << none.error().message;
  }
}

}  // namespace
}  // namespace stayd::dynamo
