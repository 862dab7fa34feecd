// Two engines' shares of one ledger.
#include "core/store_share.h"

#include <gtest/gtest.h>

#include "store/memory/memory_store.h"
#include "store/test_support.h"

namespace stayd {
namespace {

using test::Recorder;

std::shared_ptr<const SlotSet> slots_of_keys(std::initializer_list<std::string_view> keys) {
  SlotSet slots;
  for (const auto key : keys) slots.set(slot_of(key));
  return std::make_shared<const SlotSet>(slots);
}

class StoreShareTest : public ::testing::Test {
 protected:
  StoreShareTest() {
    one.set_events(&first);
    two->set_events(&second);
    one.set_slots(slots_of_keys({"a", "b"}));
    two->set_slots(slots_of_keys({"c"}));
  }
  static Mutation put(std::string_view key, Hlc hlc) {
    Mutation mutation;
    mutation.key = full_key(0, key);
    mutation.hlc = hlc;
    mutation.record.value = std::string(key);
    return mutation;
  }
  void run() {
    store.submit();
    store.deliver();
  }
  static std::string keys(const ScanPage& page) {
    std::string out;
    for (const ScanEntry& entry : page.entries) out += key_of(entry.key);
    return out;
  }

  MemoryStore store{[] { return std::int64_t{1'000}; }};
  SharedStore shared{store};
  Recorder first, second;
  StoreShare one{shared, "shard1."};
  std::unique_ptr<StoreShare> two = std::make_unique<StoreShare>(shared, "shard2.");
};

TEST_F(StoreShareTest, EachHearsOfWhatItHasAskedFor) {
  one.apply_one(put("a", 1), 1, Durability::written);
  two->apply_one(put("c", 2), 1, Durability::written);
  std::vector<Store::Change> changes;
  changes.push_back({put("b", 3), 2});
  changes.push_back({put("b", 4), 0});
  one.apply(std::move(changes), Durability::written);
  one.load(full_key(0, "a"), 3);
  two->load_meta(full_key(0, "a"), 2);  // rows are common
  run();
  EXPECT_EQ(first.order, (std::vector<StoreToken>{1, 2, 3}));
  EXPECT_EQ(second.order, (std::vector<StoreToken>{1, 2}));
  EXPECT_EQ(first.loaded[3].meta.hlc, 1u);
  EXPECT_EQ(second.loaded[2].meta.hlc, 1u);
  EXPECT_EQ(one.highest_hlc(), 4u);
  EXPECT_EQ(two->highest_hlc(), 4u);
}

TEST_F(StoreShareTest, AScanFindsTheSlotsOfItsShareOnly) {
  for (const auto key : {"a", "b", "c"}) one.apply_one(put(key, 1), 0, Durability::written);
  one.scan({.db = 0}, 1);
  two->scan({.db = 0}, 1);
  one.scan({.db = 0, .slots = slots_of_keys({"b"})}, 2);  // or fewer
  one.set_slots(slots_of_keys({"a"}));
  one.scan({.db = 0}, 3);
  run();
  EXPECT_EQ(keys(first.scanned[1]), "ab");
  EXPECT_EQ(keys(second.scanned[1]), "c");
  EXPECT_EQ(keys(first.scanned[2]), "b");
  EXPECT_EQ(keys(first.scanned[3]), "a");
}

TEST_F(StoreShareTest, FactsStandUnderItsNameButForTheLedgersOwn) {
  one.put_fact("adoption", "done");
  two->put_fact("instance", "17");
  EXPECT_EQ(one.fact("adoption"), "done");
  EXPECT_EQ(two->fact("adoption"), "");
  EXPECT_EQ(one.fact("instance"), "17");
  EXPECT_EQ(store.fact("shard1.adoption"), "done");
  EXPECT_EQ(store.fact("instance"), "17");
}

TEST_F(StoreShareTest, WhatAnEndedShareHasAskedForIsDropped) {
  two->apply_one(put("c", 2), 1, Durability::written);
  two->load(full_key(0, "c"), 2);
  two->scan({.db = 0}, 3);
  two.reset();
  run();
  EXPECT_TRUE(second.order.empty());
  StoreShare three(shared, "shard3.");
  Recorder third;
  three.set_events(&third);
  three.load(full_key(0, "c"), 1);
  run();
  EXPECT_EQ(third.loaded[1].meta.hlc, 2u);  // it was done all the same
  EXPECT_TRUE(first.order.empty());
}

TEST_F(StoreShareTest, TheClockIsCommon) {
  const Hlc before = shared.clock().next(1'000);
  EXPECT_GT(shared.clock().next(1'000), before);
}

}  // namespace
}  // namespace stayd
