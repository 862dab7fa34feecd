#include "store/dynamodb/item.h"

#include <gtest/gtest.h>

#include "store/dynamodb/table.h"
#include "store/record_codec.h"

namespace stayd::dynamo {
namespace {

BackupRow row() {
  BackupRow out;
  out.key = std::string("\0a\xff", 3);
  out.state = RowState::live;
  out.hlc = 0x7fff'ffff'ffff'ffff;
  out.origin = 0xffff'ffff'ffff'ffff;
  out.change = std::uint64_t{1} << 41;
  out.record.value = std::string("v\0", 2);
  out.record.expires_at_ms = 1'795'953'600'000;
  return out;
}

// The bytes are a format: docs/formats/backup_dynamodb.md.
TEST(DynamodbItem, IsWrittenAsTheFormatSays) {
  const BackupRow one = row();
  EXPECT_EQ(json::serialize(item_of(one, encode_value(one.record))),
            "{\"p\":{\"S\":\"r7\"},\"k\":{\"B\":\"AGH/\"},\"c\":{\"N\":\"2199023255552\"},"
            "\"i\":{\"N\":\"0\"},\"s\":{\"N\":\"1\"},\"t\":{\"N\":\"0\"},"
            "\"h\":{\"N\":\"9223372036854775807\"},\"o\":{\"N\":\"18446744073709551615\"},"
            "\"l\":{\"N\":\"0\"},\"e\":{\"N\":\"1795953600000\"},\"b\":{\"N\":\"0\"},"
            "\"u\":{\"N\":\"0\"},\"x\":{\"N\":\"1796043600\"},\"z\":{\"N\":\"4\"},"
            "\"v\":{\"B\":\"AQF2AA==\"}}");
  ValueCodec values;
  const json::object item = item_of(one, encode_value(one.record));
  const StoredRow back = stored_row(one.key, &item, &values);
  EXPECT_EQ(back.row.unreadable, "");
  EXPECT_EQ(back.row.origin, one.origin);
  EXPECT_TRUE(back.row.record == one.record);
}

TEST(DynamodbItem, WhatIsMissingOrOfAnotherTypeMakesItUnreadable) {
  const json::object whole = item_of(row(), encode_value(row().record));
  ValueCodec values;
  for (const auto& attribute : whole) {
    const std::string name(attribute.key());
    if (name == "p" || name == "k" || name == "x" || name == "z") continue;
    json::object damaged = whole;
    damaged.erase(name);
    EXPECT_NE(stored_row(row().key, &damaged, &values).row.unreadable, "") << name;
    for (const json::value& wrong :
         {json::value(7), json::value{{"N", 7}}, json::value{{"N", "1E3"}}, json::value{{"B", "?"}},
          json::value{{"S", "1"}}, json::value(nullptr)}) {
      damaged[name] = wrong;
      EXPECT_NE(stored_row(row().key, &damaged, &values).row.unreadable, "") << name << wrong;
    }
  }
}

TEST(DynamodbItem, ShardsAreAllUsed) {
  std::array<int, kShards> count{};
  for (int i = 0; i < 16'000; ++i) {
    ++count[static_cast<std::size_t>(shard_of(full_key(0, "sess:" + std::to_string(i))))];
  }
  for (const int one : count) EXPECT_NEAR(one, 1'000, 200);
}

TEST(DynamodbItem, HeadsThatAreDamagedAreNamed) {
  json::object head = head_key();
  EXPECT_EQ(head_of(nullptr).error().code, Errc::unavailable);
  EXPECT_NE(head_of(&head).error().message.find("\"n\""), std::string::npos);
  head.emplace("n", number_value(std::uint64_t{7}));
  EXPECT_EQ(head_of(&head)->last, 7U);
  head.emplace("uabc", number_value(std::uint64_t{5}));
  EXPECT_NE(head_of(&head).error().message.find("\"uabc\""), std::string::npos);
  for (const char* wrong : {"", "x 5", "1", "1 2 3", "1ffffffff 5"}) {
    head["vabc"] = text_value(wrong);
    EXPECT_FALSE(head_of(&head)) << wrong;
  }
  head["vabc"] = text_value("8001 1000");
  const Snapshot now = snapshot_of(*head_of(&head), 2'000);
  EXPECT_EQ(now, (Snapshot{5, 8, {5}}));
  EXPECT_EQ(snapshot_of(*head_of(&head), 2'000 + kLateMs), (Snapshot{8, 8, {}}));
  head.emplace("s3", text_value("7"));
  EXPECT_NE(head_of(&head).error().message.find("\"s3\""), std::string::npos);
}

TEST(DynamodbItem, ErrorsAreNamedAndJudged) {
  const auto answer = [](const char* type, int status) {
    return answer_of(std::string("{\"__type\":\"com.amazon#") + type + "\",\"Message\":\"a\\nb\"}",
                     status);
  };
  const Answer throttled = answer("ThrottlingException", 400);
  EXPECT_TRUE(throttled.error && throttled.error->retry);
  EXPECT_EQ(throttled.error->error.message, "backup: DynamoDB: a b (ThrottlingException)");
  EXPECT_TRUE(answer("WhatIsThis", 503).error->retry);
  EXPECT_FALSE(answer("WhatIsThis", 400).error->retry);
  EXPECT_EQ(answer("WhatIsThis", 400).error->error.code, Errc::io);
  EXPECT_TRUE(answer_of("<html>", 502).error->retry);
  EXPECT_FALSE(answer_of("", 200).error->retry);
  EXPECT_FALSE(answer_of("{}", 200).error);
}

}  // namespace
}  // namespace stayd::dynamo
