// The small parts of the rules: debts, canary, classification of replies, near cache.
#include <gtest/gtest.h>

#include "core/absences.h"
#include "core/canary.h"
#include "core/debts.h"
#include "core/record_cache.h"
#include "core/reply_class.h"
#include "core/side_keys.h"

namespace stayd {
namespace {

TEST(Debts, ANewerVersionIsNotSettledByAnOlderConfirmation) {
  Debts debts;
  debts.add("k", 10);
  debts.add("k", 12);
  EXPECT_FALSE(debts.settle("k", 10));
  EXPECT_TRUE(debts.has("k"));
  EXPECT_TRUE(debts.settle("k", 12));
  EXPECT_TRUE(debts.empty());
}

TEST(Debts, LowestBoundsTheLogPosition) {
  Debts debts;
  EXPECT_EQ(debts.lowest(), 0u);
  debts.add("a", 7);
  debts.add("b", 5);
  EXPECT_EQ(debts.lowest(), 5u);
  for (int i = 0; i < 2000; ++i) debts.add("x" + std::to_string(i), 100);
  EXPECT_LE(debts.lowest(), 5u);
}

TEST(Debts, OverflowIsToldAndNothingIsForgottenSilently) {
  Debts debts;
  for (std::size_t i = 0; i < kMaxDebts; ++i) debts.add(std::to_string(i), i + 1);
  EXPECT_TRUE(debts.complete());
  debts.add("one more", 5);
  EXPECT_FALSE(debts.complete());
  EXPECT_EQ(debts.overflows(), 1u);
  EXPECT_EQ(debts.size(), kMaxDebts);
}

TEST(Debts, AKeyIsHandedOutUntilItIsSettled) {
  Debts debts;
  debts.add("a", 1);
  debts.add("b", 2);
  std::vector<FullKey> keys;
  debts.take(10, keys);
  EXPECT_EQ(keys.size(), 2u);
  EXPECT_EQ(debts.unpaid(), 0u);
  debts.settle("a", 1);
  debts.retry("a");
  debts.retry("b");
  keys.clear();
  debts.take(10, keys);
  EXPECT_EQ(keys, std::vector<FullKey>{"b"});
}

TEST(Absences, AreBoundedAndForgottenWhenWritten) {
  Absences absences;
  absences.remember("a");
  EXPECT_TRUE(absences.has("a"));
  absences.forget("a");
  EXPECT_TRUE(absences.empty());
  absences.remember(std::string(kMaxAbsentKeyBytes + 1, 'x'));
  EXPECT_TRUE(absences.empty());
  for (std::size_t i = 0; i < 2 * kMaxAbsences; ++i) absences.remember(std::to_string(i));
  EXPECT_LE(absences.size(), kMaxAbsences);
  EXPECT_FALSE(absences.has("0"));
  EXPECT_TRUE(absences.has(std::to_string(2 * kMaxAbsences - 1)));
  const std::string old_one = std::to_string(2 * kMaxAbsences - kMaxAbsences / 2);
  absences.forget(old_one);
  EXPECT_FALSE(absences.has(old_one));
}

TEST(Debts, AFlushedDatabaseOwesNothing) {
  Debts debts;
  debts.add(full_key(0, "a"), 1);
  debts.add(full_key(3, "a"), 2);
  debts.forget_database(3);
  EXPECT_TRUE(debts.has(full_key(0, "a")));
  EXPECT_FALSE(debts.has(full_key(3, "a")));
}

TEST(Canary, ReadsWhatItWrites) {
  const Canary canary{3, 17, 123456789012345, 1795422112817};
  const auto parsed = Canary::parse(canary.text());
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->epoch, 3u);
  EXPECT_EQ(parsed->count, 17u);
  EXPECT_EQ(parsed->position, 123456789012345u);
  EXPECT_EQ(parsed->wall_ms, 1795422112817);
}

TEST(Canary, RefusesEverythingElse) {
  for (const char* text : {"", "1", "1 2 3 4", "2 1 1 1 1", "1 1 1 1 1 ", "1 1 x 1 1", "1  1 1 1 1",
                           "1 1 1 99999999999999999999999 1"}) {
    EXPECT_FALSE(Canary::parse(text).has_value()) << text;
  }
}

TEST(Canary, OfAFleetSaysFromWhenOnAndUpToWhereItVouches) {
  const Canary canary{3, 17, 123, 456, 0, 0, 100, 200};
  EXPECT_EQ(canary.text(), "3 3 17 123 456 100 200");
  const auto read = Canary::parse(canary.text());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->from, 100u);
  EXPECT_EQ(read->to, 200u);
  EXPECT_EQ(read->place, 0u);
  EXPECT_EQ(read->ledger(), 123u);
}

TEST(Canary, OfAClusterSaysForWhichPlaceItVouches) {
  const Canary canary{3, 17, 123, 456, 9, 789};
  EXPECT_EQ(canary.text(), "2 3 17 123 456 9 789");
  EXPECT_EQ(Canary::parse(canary.text())->place, 9u);
  EXPECT_EQ(Canary::parse(canary.text())->position, 123u);
  EXPECT_EQ(Canary::parse(canary.text())->ledger(), 789u);
  EXPECT_EQ(Canary::parse("1 3 17 123 456")->place, 0u);  // of no place at all
  const Canary unvouched{3, 17, 123, 456, 0, 789};
  EXPECT_EQ(unvouched.text(), "2 3 17 123 456 0 789");
  EXPECT_EQ(Canary::parse(unvouched.text())->top, 789u);
  for (const char* text : {"2", "2 ", "2 1 1 1 1 1", "2 1 1 1 1 1 ", "2 1 1 1 1 1 1 ",
                           "2 1 1 1 1 1 1 1", "2 1 1 1 1 1 x", "2 1 1 1 1 1 -1", "2  1 1 1 1 1 1",
                           "20 1 1 1 1", "1 1 1 1 1 1", "2 1 1 1 1 1 99999999999999999999999"}) {
    EXPECT_FALSE(Canary::parse(text).has_value()) << text;
  }
}

TEST(SideKeys, OfAClusterStandInSlotsOfTheirShard) {
  const SlotSet slots = *parse_slot_ranges("3-100 9000");
  const ShardPlace place("12", slots, 5);
  for (const auto& key : {canary_key(place, "77"), instances_key(place)}) {
    EXPECT_EQ(slot_of(key), 9000) << key;
    EXPECT_TRUE(is_side_key(key)) << key;
  }
  EXPECT_NE(canary_key(place, "77"), canary_key(ShardPlace("13", slots, 5), "77"));
  EXPECT_EQ(canary_key(place, "77"), canary_key(ShardPlace("12", slots, 6), "77"));
  for (const char* key : {"sess:1", "{}x", "we}ird{", "a{}b{c}", "{user}:1", ""}) {
    EXPECT_EQ(slot_of(lease_key(place, key)), slot_of(key)) << key;
    EXPECT_TRUE(is_side_key(lease_key(place, key)));
  }
  EXPECT_EQ(canary_key(ShardPlace(), "77"), "stayd:{}:canary:77");
}

TEST(Place, TrustEpochsOfShardsDiffer) {
  const SlotSet slots = SlotSet().set(1);
  EXPECT_EQ(ShardPlace().first_epoch(), 0u);
  EXPECT_GT(ShardPlace("2", slots, 1).first_epoch(), ShardPlace("1", slots, 1).first_epoch());
  EXPECT_TRUE(ShardPlace().owns("anything"));
  EXPECT_FALSE(ShardPlace("1", SlotSet(), 1).owns("anything"));  // of a shard that ends
}

TEST(ReplyClass, ByTheFirstWord) {
  struct Case {
    const char* frame;
    ReplyClass expected;
  };
  for (const Case& c : {
           Case{"-LOADING Redis is loading the dataset in memory\r\n", ReplyClass::shard_out},
           Case{"-BUSY Redis is busy running a script.\r\n", ReplyClass::shard_out},
           Case{"-MASTERDOWN Link with MASTER is down\r\n", ReplyClass::shard_out},
           Case{"-NOAUTH Authentication required.\r\n", ReplyClass::shard_out},
           Case{"-ERR max number of clients reached\r\n", ReplyClass::shard_out},
           Case{"-READONLY You can't write against a read only replica.\r\n",
                ReplyClass::wrong_node},
           Case{"-UNBLOCKED force unblock\r\n", ReplyClass::wrong_node},
           Case{"-OOM command not allowed\r\n", ReplyClass::no_memory},
           Case{"-MISCONF Redis is configured to save\r\n", ReplyClass::no_writes},
           Case{"-NOREPLICAS Not enough good replicas to write.\r\n", ReplyClass::no_writes},
           Case{"-NOSCRIPT No matching script.\r\n", ReplyClass::no_script},
           Case{"-STAYDMISS no such key\r\n", ReplyClass::guard_miss},
           Case{"-NOPERM this user has no permissions\r\n", ReplyClass::denied},
           Case{"-WRONGTYPE Operation against a key\r\n", ReplyClass::ordinary},
           Case{"-ERR unknown command\r\n", ReplyClass::ordinary},
           Case{"$7\r\nLOADING\r\n", ReplyClass::ordinary},
           Case{"-LOADINGX\r\n", ReplyClass::ordinary},
       }) {
    EXPECT_EQ(classify_reply(c.frame), c.expected) << c.frame;
  }
}

Row row_of(std::size_t bytes) {
  Row row;
  row.meta.state = RowState::live;
  row.record.value = std::string(bytes, 'x');
  return row;
}

TEST(RecordCache, StaysWithinItsBudgetAndKeepsWhatWasUsedLast) {
  RecordCache cache(20'000);
  for (int i = 0; i < 100; ++i) {
    cache.put("k" + std::to_string(i), row_of(1000));
    EXPECT_LE(cache.bytes(), 20'000u);
    EXPECT_NE(cache.find("k0"), nullptr) << "used in every round";
  }
  EXPECT_NE(cache.find("k0"), nullptr);
  EXPECT_NE(cache.find("k99"), nullptr);
  EXPECT_EQ(cache.find("k50"), nullptr);
  cache.clear();
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(SideKeys, AreKnownByTheirPrefix) {
  EXPECT_TRUE(is_side_key(canary_key({}, "1")));
  EXPECT_TRUE(is_side_key(lease_key({}, "sess:1")));
  EXPECT_FALSE(is_side_key("stayd:sess"));
  EXPECT_NE(lease_key({}, "a"), lease_key({}, "b"));
}

}  // namespace
}  // namespace stayd
