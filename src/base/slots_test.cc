#include "base/slots.h"

#include <gtest/gtest.h>

namespace stayd {
namespace {

// As redis-server 7.0.15 answers CLUSTER KEYSLOT.
TEST(Slots, AreThoseOfRedis) {
  EXPECT_EQ(slot_of("123456789"), 0x31c3);
  EXPECT_EQ(slot_of("foo"), 12182);
  EXPECT_EQ(slot_of(""), 0);
  EXPECT_EQ(slot_of("{foo}bar"), slot_of("foo"));
  EXPECT_EQ(slot_of("x{foo}y{bar}"), slot_of("foo"));
  EXPECT_EQ(slot_of("foo{}{bar}"), 8363);
  EXPECT_EQ(slot_of("foo{{bar}}zap"), slot_of("{bar"));
  EXPECT_EQ(slot_of("we}ird"), slot_of("we}ird"));
  EXPECT_EQ(slot_of("{}x"), slot_of(std::string_view("{}x", 3)));
  EXPECT_NE(slot_of("{}x"), slot_of("x"));
}

TEST(Slots, EachHasAShortTag) {
  for (int slot = 0; slot < kSlots; ++slot) {
    const auto tag = tag_of(static_cast<Slot>(slot));
    ASSERT_FALSE(tag.empty()) << slot;
    ASSERT_LE(tag.size(), 3u);
    ASSERT_EQ(slot_of("stayd:{" + std::string(tag) + "}:lease:1"), slot);
  }
}

TEST(Slots, RangesForPeople) {
  SlotSet slots;
  EXPECT_EQ(slot_ranges(slots), "");
  slots.set(5).set(7).set(8).set(kSlots - 1);
  EXPECT_EQ(slot_ranges(slots), "5 7-8 16383");
  EXPECT_EQ(parse_slot_ranges("5 7-8 16383"), slots);
  EXPECT_EQ(parse_slot_ranges(""), SlotSet());
  for (const char* wrong : {"x", "-1", "8-7", "16384", "1,2", "1-", "1  2", "0-99999999999999"}) {
    EXPECT_FALSE(parse_slot_ranges(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace stayd
