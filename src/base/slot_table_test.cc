#include "base/slot_table.h"

#include <gtest/gtest.h>

#include <string>

namespace stayd::test {
namespace {

TEST(SlotTable, NumbersAreUsedAnew) {
  SlotTable<std::string> table;
  EXPECT_EQ(table.add("a"), 0U);
  EXPECT_EQ(table.add("b"), 1U);
  EXPECT_EQ(table.take(0), "a");
  EXPECT_EQ(table.add("c"), 0U);
  EXPECT_EQ(table.used(), 2U);
  EXPECT_EQ(table.take(1), "b");
  EXPECT_EQ(table.take(0), "c");
  EXPECT_EQ(table.used(), 0U);
}

TEST(SlotTable, WithNothingInItOneIsLikeAnother) {
  SlotTable<int> table;
  for (int i = 0; i < 3; ++i) table.add(i);
  for (const std::size_t number : {0, 2, 1}) table.take(number);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(table.add(0), i);
}

}  // namespace
}  // namespace stayd::test
