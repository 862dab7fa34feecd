#include "store/dynamodb/feed_cursor.h"

#include <gtest/gtest.h>

namespace stayd::dynamo {
namespace {

TEST(DynamodbCursor, TextComesBackAndNothingElseReads) {
  const Snapshot base{10, 20, {10, 15}}, target{15, 30, {15, 22}};
  FeedPlace place{
      {"id-t", base, target, 17, std::string("\0k", 2)}, {{10, 7}, {15, 0xffffffff}}, {}};
  place.target[22] = 3;
  const std::string text = place_text(place);
  EXPECT_EQ(text, "dy1 7,ffffffff 0,3 1 id-t 10:20:10,15 15:30:15,22 17 006b");
  const auto got = parse_place(text);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->base, place.base);
  EXPECT_EQ(got->target, (Marks{{15, 0}, {22, 3}}));
  EXPECT_EQ(place_text(*got), text);
  EXPECT_EQ(place_text({{"e", std::nullopt, std::nullopt, 0, ""}, {}, {}}), "dy1 - - 1 e -");
  for (const char* wrong :
       {"", "dy1", "dy1 - -", "dy1 - - 1 e", "dy2 - - 1 e -", "dy1 7 - 1 e -", "1 e -",
        "dy1 - - 1 e 10:20:10", "dy1 7,8 - 1 e 10:20:10", "dy1 x - 1 e 10:20:10",
        "dy1 100000000 - 1 e 10:20:10", "dy1  - - 1 e -"}) {
    EXPECT_FALSE(parse_place(wrong)) << wrong;
  }
}

TEST(DynamodbCursor, ItFitsWhatACursorMayBe) {
  Snapshot full{1'000'000'000'000'000, 1'000'000'000'000'100, {}};
  FeedPlace place;
  for (std::uint64_t i = 0; i < kMaxMarked; ++i) {
    full.under_way.push_back(full.xmin + i);
    place.base[full.xmin + i] = place.target[full.xmin + i] = 0xffffffff;
  }
  const std::string epoch(32 + 1 + 36, 'e');
  place.position = {epoch, full, full, full.xmax, std::string(1024, 'k')};
  EXPECT_LE(place_text(place).size(), 4'096U);
}

TEST(DynamodbCursor, MarksDependOnTheSetOfKeysAlone) {
  const std::uint32_t ab = add_mark(add_mark(kNoKeys, "a"), "b");
  EXPECT_EQ(ab, add_mark(add_mark(kNoKeys, "b"), "a"));
  EXPECT_NE(ab, add_mark(kNoKeys, "a"));
  EXPECT_NE(ab, add_mark(add_mark(kNoKeys, "a"), "c"));
}

}  // namespace
}  // namespace stayd::dynamo
