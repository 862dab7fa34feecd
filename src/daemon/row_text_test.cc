#include "daemon/row_text.h"

#include <gtest/gtest.h>

#include "base/types.h"

namespace stayd {
namespace {

Row live(Record record) {
  Row row;
  row.meta.state = RowState::live;
  row.meta.type = record.type();
  row.meta.expires_at_ms = record.expires_at_ms;
  row.meta.hlc = 7;
  row.record = std::move(record);
  return row;
}

TEST(RowText, Base64) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xff\xfe\xfd"), "//79");
}

// The number of a data key and the values under it used to be one number from the tenth on.
TEST(RowText, Stats) {
  LedgerReader::AtRestStats stats;
  stats.live = 3;
  stats.sealed = {{9, 1}, {10, 61'233}};
  stats.master_key = "5f1c9c6d3a0be871";
  stats.resealing = true;
  EXPECT_EQ(stats_text(stats),
            "live               3\n"
            "tombstones         0\n"
            "values in clear    0\n"
            "sealed, data key 9 1\n"
            "sealed, data key 10 61233\n"
            "older values are being sealed anew\n"
            "master key         5f1c9c6d3a0be871\n");
}

TEST(RowText, JsonOfStrings) {
  EXPECT_EQ(
      row_json(full_key(3, "sess:1"), live({std::string("a\"b"), 1'767'323'045'678})),
      "{\"db\":3,\"key\":\"sess:1\",\"state\":\"live\",\"type\":\"string\","
      "\"expires_at_ms\":1767323045678,\"created_at_ms\":0,\"version\":7,\"value\":\"a\\\"b\"}");
  const std::string binary = row_json(full_key(0, "\xff"), live({std::string("\x80"), 0}));
  EXPECT_NE(binary.find("\"key\":{\"base64\":\"/w==\"}"), std::string::npos) << binary;
  EXPECT_NE(binary.find("\"value\":{\"base64\":\"gA==\"}"), std::string::npos) << binary;
}

TEST(RowText, JsonOfCollections) {
  const auto value = [](const Record& record) {
    const std::string json = row_json(full_key(0, "k"), live(record));
    const std::size_t at = json.find("\"value\":");
    return json.substr(at + 8, json.size() - at - 9);
  };
  EXPECT_EQ(value({HashValue{{"a", "1"}, {"b", "\xff"}}, 0}),
            "[[\"a\",\"1\"],[\"b\",{\"base64\":\"/w==\"}]]");
  EXPECT_EQ(value({SetValue{"x", "y"}, 0}), "[\"x\",\"y\"]");
  SortedSetValue sorted;
  sorted.set("m", 1.5);
  EXPECT_EQ(value({sorted, 0}), "[[\"m\",\"1.5\"]]");
  EXPECT_EQ(value({OpaqueValue{"d"}, 0}), "{\"dump\":{\"base64\":\"ZA==\"}}");
  EXPECT_EQ(value({SetValue{}, 0}), "[]");
}

TEST(RowText, TombsHaveNoValue) {
  Row row;
  row.meta.state = RowState::tomb;
  row.meta.tomb_until_ms = 5;
  const std::string json = row_json(full_key(0, "k"), row);
  EXPECT_NE(json.find("\"state\":\"tomb\""), std::string::npos);
  EXPECT_NE(json.find("\"tomb_until_ms\":5"), std::string::npos);
  EXPECT_EQ(json.find("value"), std::string::npos);
}

TEST(RowText, Lines) {
  EXPECT_EQ(row_line(full_key(0, "sess:1"), live({std::string("x"), 1'767'323'045'678}).meta),
            "0  live   string  2026-01-02T03:04:05.678Z  sess:1");
  EXPECT_EQ(row_line(full_key(15, "a b\n"), live({std::string("x"), 0}).meta),
            "15 live   string  -                         \"a b\\n\"");
}

}  // namespace
}  // namespace stayd
