#include "store/in_flight.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace stayd {
namespace {

class InFlight : public ::testing::Test {
 protected:
  std::vector<std::byte> memory_{InFlightTable::kBytes};
  InFlightTable table_{memory_};

  // What the next life finds.
  std::vector<FullKey> left() {
    std::vector<FullKey> keys;
    const InFlightTable next(memory_);
    for (const auto& leftover : next.leftovers()) {
      keys.insert(keys.end(), leftover.keys.begin(), leftover.keys.end());
    }
    return keys;
  }
};

TEST_F(InFlight, WhatHasEndedIsNotLeft) {
  const auto a = table_.begin({full_key(0, "a")});
  table_.begin({full_key(3, "b"), full_key(0, "c"), full_key(3, "b")});
  table_.end(a);
  EXPECT_EQ(left(), (std::vector<FullKey>{full_key(3, "b"), full_key(0, "c")}));
  EXPECT_EQ(InFlightTable(memory_).ignored(), 0U);
}

TEST_F(InFlight, ALeftoverStaysUntilItIsEnded) {
  table_.begin({full_key(0, "a")});
  table_.reopen();
  ASSERT_EQ(table_.leftovers().size(), 1U);
  table_.end(table_.begin({full_key(0, "b")}));
  EXPECT_EQ(left(), std::vector<FullKey>{full_key(0, "a")});
  table_.end(table_.leftovers()[0].slot);
  EXPECT_TRUE(left().empty());
}

TEST_F(InFlight, LongKeysTakeLongerSlots) {
  for (const std::size_t size : {1U, 247U, 248U, 1000U, 1015U, 1016U, 16'000U}) {
    const FullKey key = full_key(0, std::string(size, 'k'));
    const auto slot = table_.begin({key});
    ASSERT_NE(slot, InFlightTable::kNone) << size;
    EXPECT_EQ(left(), std::vector<FullKey>{key});
    table_.end(slot);
  }
  EXPECT_EQ(table_.begin({full_key(0, std::string(16'384, 'k'))}), InFlightTable::kNone);
}

TEST_F(InFlight, WhenItIsFullItSaysSo) {
  std::vector<InFlightTable::Slot> slots;
  for (auto slot = table_.begin({full_key(0, "k")}); slot != InFlightTable::kNone;
       slot = table_.begin({full_key(0, "k")})) {
    slots.push_back(slot);
  }
  EXPECT_EQ(slots.size(), 8192U + 1024U + 64U);
  EXPECT_EQ(left().size(), slots.size());
  for (const auto slot : slots) table_.end(slot);
  EXPECT_TRUE(left().empty());
  EXPECT_NE(table_.begin({full_key(0, "k")}), InFlightTable::kNone);
}

TEST_F(InFlight, DamagedSlotsAreIgnored) {
  table_.begin({full_key(0, "good")});
  const auto damage = [&](std::size_t slot, std::size_t at, std::uint32_t value) {
    std::memcpy(memory_.data() + InFlightTable::kHeaderBytes + slot * 256 + at, &value, 4);
  };
  damage(1, 0, 4000);                  // longer than its slot
  damage(2, 0, 9), damage(2, 4, 200);  // a key longer than what is in use
  damage(3, 0, 6), damage(3, 4, 2);    // a database that does not exist
  std::memset(memory_.data() + InFlightTable::kHeaderBytes + 3 * 256 + 8, 0xff, 2);
  damage(4, 0, 2);                   // shorter than a key's length
  damage(5, 0, 4), damage(5, 4, 0);  // an empty key
  InFlightTable next(memory_);
  EXPECT_EQ(next.ignored(), 5U);
  ASSERT_EQ(next.leftovers().size(), 1U);
  EXPECT_EQ(next.leftovers()[0].keys, std::vector<FullKey>{full_key(0, "good")});
  EXPECT_EQ(InFlightTable(memory_).ignored(), 0U);
}

TEST_F(InFlight, AnotherFormatIsIgnoredAsAWhole) {
  table_.begin({full_key(0, "a")});
  memory_[0] = std::byte{'x'};
  InFlightTable next(memory_);
  EXPECT_EQ(next.ignored(), 1U);
  EXPECT_TRUE(next.leftovers().empty());
  EXPECT_NE(next.begin({full_key(0, "b")}), InFlightTable::kNone);
  EXPECT_EQ(left(), std::vector<FullKey>{full_key(0, "b")});
}

}  // namespace
}  // namespace stayd
