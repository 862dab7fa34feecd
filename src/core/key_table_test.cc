#include "core/key_table.h"

#include <gtest/gtest.h>

namespace stayd {
namespace {

struct TestCall : Call {
  explicit TestCall(std::vector<FullKey> names) {
    static std::uint64_t order = 0;
    keys = std::move(names);
    submitted_order = ++order;
  }
};

TEST(KeyTable, IdleKeysHaveNoEntry) {
  KeyTable table;
  TestCall call({"a", "b"});
  table.lock(call);
  table.add_in_flight(call);
  EXPECT_EQ(table.size(), 2u);
  table.unlock(call);
  EXPECT_EQ(table.in_flight("a"), 1u);
  table.remove_in_flight(call);
  EXPECT_TRUE(table.empty());
}

TEST(KeyTable, ALockKeepsOthersOutAndLetsTheHolderIn) {
  KeyTable table;
  TestCall holder({"a"});
  TestCall other({"b", "a"});
  table.lock(holder);
  EXPECT_TRUE(table.may_start(holder, false));
  EXPECT_FALSE(table.may_start(other, false));
  table.unlock(holder);
  EXPECT_TRUE(table.may_start(other, false));
}

TEST(KeyTable, AloneWaitsForWritesInFlight) {
  KeyTable table;
  TestCall write({"a"});
  TestCall standin({"a"});
  table.add_in_flight(write);
  EXPECT_TRUE(table.may_start(standin, false));
  EXPECT_FALSE(table.may_start(standin, true));
}

// A command on two keys waits for the first; a later command on the second must not overtake it.
TEST(KeyTable, AWaitingCallStandsInTheQueuesOfAllItsKeys) {
  KeyTable table;
  TestCall holder({"a"});
  TestCall both({"a", "b"});
  TestCall later({"b"});
  table.lock(holder);
  table.enqueue(both);
  EXPECT_FALSE(table.may_start(later, false));
  table.enqueue(later);
  table.unlock(holder);
  std::vector<Call*> fronts;
  table.fronts({"a", "b"}, fronts);
  ASSERT_EQ(fronts.size(), 2u);
  EXPECT_EQ(fronts[0], &both);
  EXPECT_EQ(fronts[1], &both);
  table.dequeue(both);
  EXPECT_TRUE(table.may_start(later, false));
  table.dequeue(later);
  EXPECT_TRUE(table.empty());
}

TEST(KeyTable, ALostCallComesBeforeThoseThatWait) {
  KeyTable table;
  TestCall waiting({"a"});
  TestCall lost({"a"});
  table.enqueue(waiting);
  table.enqueue_front(lost);
  EXPECT_TRUE(table.may_start(lost, true));
  EXPECT_FALSE(table.may_start(waiting, true));
}

TEST(KeyTable, AKeyNamedTwiceIsLockedAndCountedOnce) {
  KeyTable table;
  TestCall twice({"a", "a"});
  table.enqueue(twice);
  EXPECT_TRUE(table.may_start(twice, true));
  table.dequeue(twice);
  table.lock(twice);
  table.add_in_flight(twice);
  table.unlock(twice);
  table.remove_in_flight(twice);
  EXPECT_TRUE(table.empty());
}

}  // namespace
}  // namespace stayd
