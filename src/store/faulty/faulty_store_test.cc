#include "store/faulty/faulty_store.h"

#include <gtest/gtest.h>

#include <limits>

#include "store/memory/memory_store.h"
#include "store/test_support.h"

namespace stayd::test {
namespace {

using Operation = FaultyStore::Operation;
using Tokens = std::vector<StoreToken>;

class FaultyStoreTest : public ::testing::Test {
 protected:
  FaultyStoreTest() { faulty_.set_events(&recorder_); }
  void turn() {
    faulty_.submit();
    memory_.deliver();
    faulty_.deliver();
  }
  void put_text(const char* name, StoreToken token) {
    faulty_.apply_one(put(full_key(0, name), token, name), token, Durability::written);
  }
  bool has(const char* name) const { return memory_.rows().contains(full_key(0, name)); }

  MemoryStore memory_{[] { return std::int64_t{1'000}; }};
  FaultyStore faulty_{memory_};
  Recorder recorder_;
};

TEST_F(FaultyStoreTest, AFailureHasNoEffectAndKeepsItsPlace) {
  faulty_.inject(Operation::apply, {.error = make_error(Errc::io, "broken")});
  faulty_.load(full_key(0, "a"), 10);
  put_text("a", 11);
  put_text("b", 12);
  turn();
  EXPECT_EQ(recorder_.order, (Tokens{10, 11, 12}));
  EXPECT_EQ(recorder_.errors[11].code, Errc::io);
  EXPECT_EQ(recorder_.errors[12].message, "");
  EXPECT_FALSE(has("a"));
  EXPECT_TRUE(has("b"));
  EXPECT_EQ(faulty_.stats().last_error, "broken");
}

TEST_F(FaultyStoreTest, InDoubtTakesEffectAndReportsAnError) {
  faulty_.inject(Operation::apply, {.error = make_error(Errc::io, "broken"), .take_effect = true});
  put_text("a", 11);
  turn();
  EXPECT_EQ(recorder_.errors[11].code, Errc::io);
  EXPECT_TRUE(has("a"));
}

TEST_F(FaultyStoreTest, DelaysHoldEverythingBehindThem) {
  faulty_.inject(Operation::load, {.deliveries = 2});
  faulty_.load(full_key(0, "a"), 1);
  put_text("a", 2);
  turn();
  turn();
  EXPECT_TRUE(recorder_.order.empty());
  turn();
  EXPECT_EQ(recorder_.order, (Tokens{1, 2}));
}

TEST_F(FaultyStoreTest, OthersPassSyncedChanges) {
  memory_.late_syncs = true;
  faulty_.apply_one(tomb(full_key(0, "t"), 1, 9), 1, Durability::synced);
  faulty_.inject(Operation::apply, {.error = make_error(Errc::io, "broken")});
  faulty_.apply_one(tomb(full_key(0, "u"), 2, 9), 2, Durability::synced);
  put_text("a", 3);
  turn();
  EXPECT_EQ(recorder_.order, (Tokens{3}));
  memory_.sync();
  turn();
  EXPECT_EQ(recorder_.order, (Tokens{3, 1, 2}));
  EXPECT_EQ(recorder_.errors[1].message, "");
  EXPECT_EQ(recorder_.errors[2].message, "broken");
}

TEST_F(FaultyStoreTest, HoldAndHeal) {
  constexpr auto kForEver = std::numeric_limits<std::uint64_t>::max();
  faulty_.inject(Operation::scan, {.error = make_error(Errc::io, "broken"), .times = kForEver});
  faulty_.hold(true);
  faulty_.scan({}, 1);
  turn();
  EXPECT_TRUE(recorder_.order.empty());
  faulty_.scan({}, 2);
  faulty_.heal();
  faulty_.scan({}, 3);
  faulty_.hold(false);
  turn();
  EXPECT_EQ(recorder_.errors[1].message, "broken");
  EXPECT_EQ(recorder_.errors[2].message, "broken");
  EXPECT_EQ(recorder_.errors[3].message, "");
}

TEST_F(FaultyStoreTest, ACrashForgetsWhatIsUnreported) {
  put_text("a", 1);
  faulty_.submit();
  memory_.crash();
  faulty_.crash();
  put_text("b", 2);
  turn();
  EXPECT_EQ(recorder_.order, (Tokens{2}));
}

}  // namespace
}  // namespace stayd::test
