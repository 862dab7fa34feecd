// What the memory store offers beyond Store: crashes. (The rest: store_behaviour_test.cc.)
#include "store/memory/memory_store.h"

#include <gtest/gtest.h>

#include "store/test_support.h"

namespace stayd::test {
namespace {

class MemoryStoreTest : public ::testing::Test {
 protected:
  MemoryStoreTest() { store_.set_events(&recorder_); }
  void put_text(const char* name, Hlc hlc, Durability durability = Durability::written) {
    store_.apply_one(put(full_key(0, name), hlc, name), hlc, durability);
  }
  bool has(const char* name) const { return store_.rows().contains(full_key(0, name)); }

  MemoryStore store_{[] { return std::int64_t{1'000}; }};
  Recorder recorder_;
};

TEST_F(MemoryStoreTest, ACrashKeepsWhatWasWritten) {
  put_text("a", 1);
  store_.put_fact("fact", "written");
  store_.submit();
  put_text("b", 2);
  store_.put_fact("fact", "gathered");
  store_.crash();
  store_.submit();
  store_.deliver();
  EXPECT_TRUE(recorder_.order.empty());
  EXPECT_TRUE(has("a"));
  EXPECT_FALSE(has("b"));
  EXPECT_EQ(store_.fact("fact"), "written");
}

TEST_F(MemoryStoreTest, APowerCutGoesBackToTheLastSync) {
  put_text("a", 1);
  store_.apply_one(tomb(full_key(0, "t"), 2, 9), 2, Durability::synced);
  put_text("a", 3);
  put_text("b", 4);
  store_.apply_one(tomb(full_key(0, "a"), 5, 9), 5, Durability::written);
  store_.submit();
  EXPECT_EQ(store_.highest_hlc(), 5U);
  store_.lose_power();
  EXPECT_EQ(store_.rows().at(full_key(0, "a")).meta.hlc, 1U);
  EXPECT_TRUE(has("t"));
  EXPECT_FALSE(has("b"));
  EXPECT_EQ(store_.highest_hlc(), 2U);
}

// They stand in one log with the changes.
TEST_F(MemoryStoreTest, FactsAreAsOldAsTheChangesThatAPowerCutLeaves) {
  store_.put_fact("fact", "before");
  put_text("a", 1);
  store_.put_fact("fact", "between");
  put_text("b", 2);
  store_.put_fact("fact", "after");
  store_.submit();
  MemoryStore copy = store_;
  copy.lose_power(2);
  EXPECT_EQ(copy.fact("fact"), "after");
  copy = store_;
  copy.lose_power(1);
  EXPECT_EQ(copy.fact("fact"), "between");
  store_.lose_power(0);
  EXPECT_EQ(store_.fact("fact"), "");
}

TEST_F(MemoryStoreTest, WritesOnTheirWayOutliveACrashAndNoPowerCut) {
  store_.in_flight().begin({full_key(0, "a")});
  store_.crash();
  ASSERT_EQ(store_.in_flight().leftovers().size(), 1U);
  EXPECT_EQ(store_.in_flight().leftovers()[0].keys, std::vector<FullKey>{full_key(0, "a")});
  store_.lose_power();
  EXPECT_TRUE(store_.in_flight().leftovers().empty());
}

TEST_F(MemoryStoreTest, ALateSyncIsReportedAfterARunThatStartedBehindIt) {
  store_.late_syncs = true;
  store_.apply_one(tomb(full_key(0, "t"), 1, 9), 1, Durability::synced);
  store_.submit();
  EXPECT_TRUE(store_.sync_wanted());
  store_.start_sync();
  EXPECT_FALSE(store_.sync_wanted());
  store_.apply_one(tomb(full_key(0, "u"), 2, 9), 2, Durability::synced);
  put_text("a", 3);
  store_.submit();
  store_.deliver();
  EXPECT_EQ(recorder_.order, std::vector<StoreToken>{3});
  store_.end_sync();
  store_.deliver();
  EXPECT_EQ(recorder_.order, (std::vector<StoreToken>{3, 1}));
  EXPECT_TRUE(store_.sync_wanted());
  store_.lose_power();
  EXPECT_TRUE(has("t"));
  EXPECT_FALSE(has("u"));
  EXPECT_FALSE(has("a"));
  EXPECT_EQ(store_.highest_hlc(), 1U);
  EXPECT_FALSE(store_.sync_wanted());
}

TEST_F(MemoryStoreTest, OneByOne) {
  put_text("a", 1);
  put_text("b", 2);
  store_.submit();
  EXPECT_EQ(store_.undelivered(), 2U);
  EXPECT_TRUE(store_.deliver_one());
  EXPECT_EQ(recorder_.order, std::vector<StoreToken>{1});
  EXPECT_TRUE(store_.deliver_one());
  EXPECT_FALSE(store_.deliver_one());
}

}  // namespace
}  // namespace stayd::test
