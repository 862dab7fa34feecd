#include "store/backup/snapshot_cursor.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace stayd {
namespace {

TEST(FeedCursor, SnapshotsAsPostgresWritesThem) {
  for (const char* text : {"10:20:10,14,15", "795:799:795,797", "3:3:"}) {
    const auto snapshot = parse_snapshot(text);
    ASSERT_TRUE(snapshot) << text;
    EXPECT_EQ(snapshot_text(*snapshot), text);
  }
  for (const char* text : {"", "1", "1:2", "1:2:3", "2:1:", "1:5:4,3", "1:5:3,3", "1:5:2,",
                           "a:5:", "1:5:2:3", "-1:5:", " 1:5:", "1:99999999999999999999999:"}) {
    EXPECT_FALSE(parse_snapshot(text)) << text;
  }
}

TEST(FeedCursor, ACutShowsLess) {
  const Snapshot whole{10, 20, {10, 12, 15}};
  EXPECT_EQ(cut(whole, 3), whole);
  EXPECT_EQ(cut(whole, 2), (Snapshot{10, 15, {10, 12}}));
  EXPECT_EQ(cut(whole, 0), (Snapshot{10, 10, {}}));
}

TEST(FeedCursor, CursorsComeBack) {
  const CursorPosition positions[] = {
      {"epoch", std::nullopt, std::nullopt, 0, ""},
      {"epoch", Snapshot{1, 9, {2}}, std::nullopt, 0, ""},
      {"e", std::nullopt, Snapshot{1, 9, {2, 3}}, 77, std::string("k\0\xff", 3)},
      {"e", Snapshot{1, 9, {2}}, Snapshot{5, 12, {}}, 1ULL << 50, std::string(1024, '\xff')},
  };
  for (const CursorPosition& position : positions) {
    const std::string text = cursor_text(position);
    const auto got = parse_cursor(text);
    ASSERT_TRUE(got) << text;
    EXPECT_EQ(cursor_text(*got), text);
    EXPECT_EQ(got->key, position.key);
  }
}

TEST(FeedCursor, TheLargestOneFits) {
  Snapshot many{1ULL << 47, (1ULL << 47) + 500, {}};
  for (std::uint64_t i = 0; i < 400; ++i) many.under_way.push_back(many.xmin + i);
  const Snapshot most = cut(many, kMaxUnderWay);
  const std::string epoch(32 + 1 + 20 + 1 + 10 + 1 + 10 + 1 + 8, 'e');
  EXPECT_LE(cursor_text({epoch, most, most, 1ULL << 62, std::string(1024, 'k')}).size(), 4096U);
}

TEST(FeedCursor, RandomTextNeverCrashes) {
  Random random(1);
  const std::string text = cursor_text({"e", Snapshot{1, 9, {2}}, Snapshot{5, 12, {7}}, 9, "key"});
  for (int i = 0; i < 20'000; ++i) {
    std::string other = text.substr(0, random.below(text.size() + 1));
    for (std::uint64_t flips = random.below(3); flips > 0 && !other.empty(); --flips) {
      other[random.below(other.size())] = "0123456789:, -x"[random.below(15)];
    }
    if (const auto got = parse_cursor(other)) {
      EXPECT_TRUE(parse_cursor(cursor_text(*got)));
    }
  }
}

}  // namespace
}  // namespace stayd
