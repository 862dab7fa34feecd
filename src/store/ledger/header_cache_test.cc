// What the header cache answers is what was put last under exactly that key, and its memory is
// bounded.
#include "store/ledger/header_cache.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/random.h"

namespace stayd {
namespace {

StoredRow row_with(Hlc hlc) {
  StoredRow row;
  row.meta.state = RowState::live;
  row.meta.type = ValueType::hash;
  row.meta.hlc = hlc;
  row.meta.expires_at_ms = static_cast<std::int64_t>(hlc) + 7;
  row.generation = hlc * 3;
  row.elements = hlc % 5;
  return row;
}

TEST(HeaderCache, FindsWhatWasPut) {
  HeaderCache cache(1 << 20);
  EXPECT_FALSE(cache.find("k"));
  cache.put("k", row_with(1));
  EXPECT_EQ(cache.find("k"), row_with(1));
  cache.put("k", row_with(2));
  EXPECT_EQ(cache.find("k"), row_with(2));
  EXPECT_EQ(cache.size(), 1U);
  EXPECT_FALSE(cache.find(""));
  EXPECT_FALSE(cache.find("kk"));
}

TEST(HeaderCache, KeepsNoPayload) {
  HeaderCache cache(1 << 20);
  StoredRow row;
  row.meta.state = RowState::live;
  row.meta.type = ValueType::string;
  row.payload = "secret";
  cache.put("k", row);
  row.payload.clear();
  EXPECT_EQ(cache.find("k"), row);
}

TEST(HeaderCache, RemembersThatThereIsNoRow) {
  HeaderCache cache(1 << 20);
  cache.put("k", StoredRow{});
  EXPECT_EQ(cache.find("k"), StoredRow{});
}

TEST(HeaderCache, ClearForgetsEverything) {
  HeaderCache cache(1 << 16);
  for (Hlc i = 1; i < 100; ++i) cache.put(std::to_string(i), row_with(i));
  cache.clear();
  for (Hlc i = 1; i < 100; ++i) EXPECT_FALSE(cache.find(std::to_string(i)));
  cache.put("1", row_with(5));
  EXPECT_EQ(cache.find("1"), row_with(5));
}

TEST(HeaderCache, WithoutMemoryItKeepsNothing) {
  HeaderCache cache(0);
  cache.put("k", row_with(1));
  EXPECT_FALSE(cache.find("k"));
  cache.clear();
}

TEST(HeaderCache, LongKeysAreNotKept) {
  HeaderCache cache(1 << 16);
  const std::string longest(HeaderCache::kMaxKeyBytes, 'k');
  cache.put(longest, row_with(1));
  cache.put(longest + "k", row_with(2));
  EXPECT_EQ(cache.find(longest), row_with(1));
  EXPECT_FALSE(cache.find(longest + "k"));
}

TEST(HeaderCache, WhatIsUsedStaysWhatIsNotGoes) {
  HeaderCache cache(1 << 16);
  cache.put("used", row_with(1));
  cache.put("unused", row_with(2));
  for (Hlc i = 0; i < 10'000; ++i) {
    cache.put("other" + std::to_string(i), row_with(i));
    ASSERT_TRUE(cache.find("used")) << i;
  }
  EXPECT_FALSE(cache.find("unused"));
  EXPECT_LT(cache.size(), (1U << 16) / kRowHeaderBytes);
}

// Small rings, so that entries of many lengths meet the ring's end and each other's slots.
TEST(HeaderCache, RandomUseAgreesWithAMap) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Random random(seed);
    HeaderCache cache(4'096 + 4 * random.below(2'000));
    std::map<std::string, StoredRow> truth;
    std::uint64_t hits = 0;
    for (Hlc step = 1; step <= 3'000; ++step) {
      const std::uint64_t number = random.below(80);
      const std::string key(number % 9 == 0 ? number * 6 : number % 9,
                            static_cast<char>('a' + number));
      if (random.below(1'000) == 0) {
        cache.clear();
        truth.clear();
      } else if (random.chance(50)) {
        cache.put(key, row_with(step));
        truth[key] = row_with(step);
        ASSERT_EQ(cache.find(key), row_with(step));
      } else if (const std::optional<StoredRow> found = cache.find(key)) {
        ASSERT_TRUE(truth.contains(key));
        ASSERT_EQ(*found, truth[key]) << "seed " << seed << " step " << step;
        ++hits;
      }
    }
    EXPECT_GT(hits, 300U);
  }
}

}  // namespace
}  // namespace stayd
