// What every Store promises (store.h), run against each of them.
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "store/test_subjects.h"
#include "store/test_support.h"

namespace stayd::test {
namespace {

struct Kind {
  const char* name;
  std::function<std::unique_ptr<Subject>()> make;
};

class StoreBehaviour : public ::testing::TestWithParam<Kind> {
 protected:
  StoreBehaviour() : subject_(GetParam().make()) { store().set_events(&recorder_); }

  Store& store() { return subject_->store(); }
  void settle(StoreToken token) {
    store().submit();
    while (!recorder_.seen(token) && !HasFatalFailure()) subject_->deliver();
  }
  ApplyResult apply(Mutation mutation) {
    store().apply_one(std::move(mutation), ++token_, Durability::written);
    settle(token_);
    EXPECT_EQ(recorder_.errors[token_].message, "");
    return recorder_.applied[token_];
  }
  Row load(FullKey key) {
    store().load(std::move(key), ++token_);
    settle(token_);
    EXPECT_EQ(recorder_.errors[token_].message, "");
    return recorder_.loaded[token_];
  }
  std::vector<ScanEntry> scan(ScanQuery query) {
    std::vector<ScanEntry> out;
    for (bool done = false; !done && !HasFatalFailure();) {
      store().scan(query, ++token_);
      settle(token_);
      const ScanPage& page = recorder_.scanned[token_];
      EXPECT_LE(page.entries.size(), query.limit);
      out.insert(out.end(), page.entries.begin(), page.entries.end());
      query.after = page.next;
      done = page.done;
    }
    return out;
  }

  std::unique_ptr<Subject> subject_;
  Recorder recorder_;
  StoreToken token_ = 0;
};

std::vector<std::string> keys_of(const std::vector<ScanEntry>& entries) {
  std::vector<std::string> out;
  for (const ScanEntry& entry : entries) {
    out.push_back(std::to_string(db_of(entry.key)) + "/" + std::string(key_of(entry.key)));
  }
  return out;
}

using Keys = std::vector<std::string>;

TEST_P(StoreBehaviour, NothingIsReportedBeforeDeliver) {
  store().apply_one(put(full_key(0, "a"), 1, "x"), 1, Durability::written);
  store().submit();
  EXPECT_TRUE(recorder_.order.empty());
  settle(1);
  EXPECT_EQ(recorder_.order, std::vector<StoreToken>{1});
}

TEST_P(StoreBehaviour, AbsentRow) {
  const Row row = load(full_key(0, "a"));
  EXPECT_EQ(row.meta, RowMeta{});
  EXPECT_FALSE(row.record.exists());
  EXPECT_EQ(store().highest_hlc(), 0U);
}

TEST_P(StoreBehaviour, PutLoadReplaceAndBefore) {
  const FullKey key = full_key(3, std::string("k\0y", 3));
  Mutation first = put(key, 10, std::string(5000, 'x'), 2'000'000);
  first.mark = {7, 8};
  EXPECT_EQ(apply(first).before, RowMeta{});
  Row row = load(key);
  EXPECT_EQ(row.record, text_record(std::string(5000, 'x'), 2'000'000));
  EXPECT_EQ(row.meta.hlc, 10U);
  EXPECT_EQ(row.meta.mark, (Mark{7, 8}));
  EXPECT_EQ(row.meta.created_at_ms, subject_->wall_ms);
  const ApplyResult second = apply(put(key, 11, ""));
  EXPECT_EQ(second.before, row.meta);
  row = load(key);
  EXPECT_EQ(row.record, text_record(""));
  EXPECT_EQ(store().highest_hlc(), 11U);
  EXPECT_EQ(load(full_key(2, key_of(key))).meta.state, RowState::absent);
}

TEST_P(StoreBehaviour, OlderVersionsAreSuperseded) {
  apply(put(full_key(0, "a"), 10, "new"));
  EXPECT_EQ(apply(put(full_key(0, "a"), 9, "old")).outcome, ApplyOutcome::superseded);
  EXPECT_EQ(apply(put(full_key(0, "a"), 10, "same")).outcome, ApplyOutcome::superseded);
  EXPECT_EQ(load(full_key(0, "a")).record, text_record("new"));
}

TEST_P(StoreBehaviour, OrderAndReadYourWritesInOneSubmit) {
  const FullKey key = full_key(0, "a");
  store().apply_one(put(key, 1, "one"), 1, Durability::written);
  store().load(key, 2);
  store().apply_one(expiry(key, 2, 5'000'000), 3, Durability::written);
  store().load_meta(key, 4);
  store().apply_one(tomb(key, 3, 9'000'000), 5, Durability::synced);
  store().load(key, 6);
  settle(6);
  settle(5);
  std::erase(recorder_.order, StoreToken{5});  // it waits for the disk, the load behind it does not
  EXPECT_EQ(recorder_.order, (std::vector<StoreToken>{1, 2, 3, 4, 6}));
  EXPECT_EQ(recorder_.loaded[2].record, text_record("one"));
  EXPECT_EQ(recorder_.loaded[4].meta.expires_at_ms, 5'000'000);
  EXPECT_FALSE(recorder_.loaded[4].record.exists());
  EXPECT_EQ(recorder_.applied[5].before.expires_at_ms, 5'000'000);
  EXPECT_EQ(recorder_.loaded[6].meta.state, RowState::tomb);
  EXPECT_EQ(recorder_.loaded[6].meta.tomb_until_ms, 9'000'000);
}

TEST_P(StoreBehaviour, ExpiryKeepsTheValueInTheSameBatch) {
  const FullKey key = full_key(0, "a");
  store().apply_one(put(key, 1, "value"), 0, Durability::written);
  store().apply_one(expiry(key, 2, 5'000'000), 0, Durability::written);
  store().load(key, 1);
  settle(1);
  EXPECT_EQ(recorder_.order, std::vector<StoreToken>{1});  // token 0 is not reported
  EXPECT_EQ(recorder_.loaded[1].record, text_record("value", 5'000'000));
}

TEST_P(StoreBehaviour, GroupsReportEachMutation) {
  std::vector<Store::Change> changes;
  changes.push_back({put(full_key(0, "a"), 1, "x"), 1});
  changes.push_back({expiry(full_key(0, "missing"), 2, 5), 2});
  changes.push_back({tomb(full_key(0, "a"), 3, 9'000'000), 3});
  store().apply(std::move(changes), Durability::synced);
  settle(3);
  EXPECT_EQ(recorder_.order, (std::vector<StoreToken>{1, 2, 3}));
  EXPECT_EQ(recorder_.applied[2].outcome, ApplyOutcome::base_unknown);
  EXPECT_EQ(recorder_.applied[3].before.state, RowState::live);
}

TEST_P(StoreBehaviour, HashByElements) {
  const FullKey key = full_key(1, "h");
  Mutation whole = put(key, 1, "");
  whole.record.value = HashValue{{"a", "1"}, {"b", "2"}, {"c", "3"}};
  apply(whole);
  apply(elements(key, 2, ValueType::hash, {{"b", true, "", 0}, {"d", false, "4", 0}}));
  EXPECT_EQ(std::get<HashValue>(load(key).record.value),
            (HashValue{{"a", "1"}, {"c", "3"}, {"d", "4"}}));
  apply(expiry(key, 3, 5'000'000));
  const Row row = load(key);
  EXPECT_EQ(std::get<HashValue>(row.record.value).size(), 3U);
  EXPECT_EQ(row.record.expires_at_ms, 5'000'000);
  apply(elements(key, 4, ValueType::hash,
                 {{"a", true, "", 0}, {"c", true, "", 0}, {"d", true, "", 0}}));
  EXPECT_EQ(load(key).meta.state, RowState::tomb);
}

TEST_P(StoreBehaviour, AReplacedCollectionDoesNotComeBack) {
  const FullKey key = full_key(1, "s");
  Mutation whole = put(key, 1, "");
  whole.record.value = SetValue{"a", "b"};
  apply(whole);
  apply(put(key, 2, "text"));
  whole.hlc = 3;
  whole.record.value = SetValue{"c"};
  apply(whole);
  EXPECT_EQ(std::get<SetValue>(load(key).record.value), SetValue{"c"});
  apply(tomb(key, 4, 9'000'000));
  apply(elements(key, 5, ValueType::set, {{"d", false, "", 0}}));
  EXPECT_EQ(std::get<SetValue>(load(key).record.value), SetValue{"d"});
}

TEST_P(StoreBehaviour, SortedSetScores) {
  const FullKey key = full_key(1, "z");
  SortedSetValue value;
  value.set("m", -0.5);
  value.set("n", 1e300);
  Mutation whole = put(key, 1, "");
  whole.record.value = value;
  apply(whole);
  apply(elements(key, 2, ValueType::zset, {{"m", false, "", 7}, {"n", true, "", 0}}));
  SortedSetValue left;
  left.set("m", 7);
  EXPECT_EQ(std::get<SortedSetValue>(load(key).record.value), left);
}

TEST_P(StoreBehaviour, ForgetLeavesNothing) {
  apply(put(full_key(0, "a"), 5, "x"));
  apply(mutation(Mutation::Kind::forget, full_key(0, "a"), 6));
  EXPECT_EQ(load(full_key(0, "a")).meta, RowMeta{});
  apply(tomb(full_key(0, "t"), 7, 9'000'000));
  apply(mutation(Mutation::Kind::forget, full_key(0, "t"), 8));
  EXPECT_TRUE(scan({.state = RowState::tomb}).empty());
  EXPECT_EQ(store().highest_hlc(), 8U);
}

TEST_P(StoreBehaviour, ScanPagesInKeyOrder) {
  Hlc hlc = 0;
  for (const int db : {3, 0, 15}) {
    for (const char* name : {"b", "a", "", "\xff"}) apply(put(full_key(db, name), ++hlc, "x"));
  }
  const Keys all = {"0/",  "0/a",    "0/b", "0/\xff", "3/",   "3/a",
                    "3/b", "3/\xff", "15/", "15/a",   "15/b", "15/\xff"};
  for (const std::size_t limit : {1U, 2U, 5U, 256U}) {
    EXPECT_EQ(keys_of(scan({.limit = limit})), all) << limit;
  }
  EXPECT_EQ(keys_of(scan({.db = 3, .limit = 2})), (Keys{"3/", "3/a", "3/b", "3/\xff"}));
  EXPECT_EQ(keys_of(scan({.newer_than = 10})), (Keys{"15/", "15/\xff"}));
}

TEST_P(StoreBehaviour, ScanOfSlotsWalksPastOthers) {
  std::vector<Store::Change> others;  // more than a page may look at
  for (int i = 0; i < 9'000; ++i)
    others.push_back({put(full_key(0, "{a}" + std::to_string(i)), 1, "x")});
  store().apply(std::move(others), Durability::written);
  for (const char* key : {"{b}1", "{b}2"}) apply(put(full_key(0, key), 2, "x"));
  apply(tomb(full_key(0, "{b}t"), 3, 2'000'000));
  const auto wanted = std::make_shared<const SlotSet>(SlotSet().set(slot_of("b")));
  EXPECT_EQ(keys_of(scan({.slots = wanted, .limit = 1})), (Keys{"0/{b}1", "0/{b}2"}));
  EXPECT_EQ(keys_of(scan({.state = RowState::tomb, .slots = wanted})), (Keys{"0/{b}t"}));
  EXPECT_TRUE(scan({.slots = std::make_shared<const SlotSet>()}).empty());
}

TEST_P(StoreBehaviour, ScanByStateLeavesExpiredOut) {
  apply(put(full_key(0, "a"), 1, "x", subject_->wall_ms + 10));
  apply(put(full_key(0, "b"), 2, "x"));
  apply(tomb(full_key(0, "c"), 3, 9'000'000));
  apply(tomb(full_key(0, "b2"), 4, 9'000'000));
  EXPECT_EQ(keys_of(scan({})), (Keys{"0/a", "0/b"}));
  EXPECT_EQ(keys_of(scan({.state = RowState::tomb})), (Keys{"0/b2", "0/c"}));
  EXPECT_EQ(keys_of(scan({.newer_than = 3, .state = RowState::tomb})), (Keys{"0/b2"}));
  subject_->wall_ms += 10;
  EXPECT_EQ(keys_of(scan({})), (Keys{"0/b"}));
  EXPECT_EQ(load(full_key(0, "a")).meta.state, RowState::live);  // the caller compares
  apply(put(full_key(0, "c"), 5, "back"));
  EXPECT_EQ(keys_of(scan({.state = RowState::tomb})), (Keys{"0/b2"}));
}

TEST_P(StoreBehaviour, FlushVoidsOneDatabaseOrAll) {
  Hlc hlc = 0;
  for (const int db : {0, 1, 2}) {
    apply(put(full_key(db, "a"), ++hlc, "x"));
    apply(tomb(full_key(db, "t"), ++hlc, 9'000'000));
  }
  store().flush(1, 20, nullptr, ++token_);
  settle(token_);
  EXPECT_EQ(keys_of(scan({})), (Keys{"0/a", "2/a"}));
  EXPECT_EQ(keys_of(scan({.state = RowState::tomb})), (Keys{"0/t", "2/t"}));
  EXPECT_EQ(store().highest_hlc(), 20U);
  store().apply_one(put(full_key(1, "late"), 21, "x"), 0, Durability::written);
  store().flush(-1, 22, nullptr, ++token_);
  store().apply_one(put(full_key(1, "after"), 23, "x"), 0, Durability::written);
  settle(token_);
  EXPECT_EQ(keys_of(scan({})), (Keys{"1/after"}));
  EXPECT_TRUE(scan({.state = RowState::tomb}).empty());
}

TEST_P(StoreBehaviour, FlushVoidsSlots) {
  apply(put(full_key(0, "{a}1"), 1, "x"));
  apply(elements(full_key(0, "{a}h"), 2, ValueType::hash, {{"f", false, "v", 0}}));
  apply(tomb(full_key(0, "{a}t"), 3, 9'000'000));
  apply(put(full_key(0, "{b}1"), 4, "x"));
  apply(tomb(full_key(0, "{b}t"), 5, 9'000'000));
  apply(put(full_key(0, "{a}late"), 6, "x"));
  SlotSet slots;
  slots.set(slot_of("a"));
  store().flush(-1, 6, std::make_shared<const SlotSet>(slots), ++token_);
  settle(token_);
  EXPECT_EQ(keys_of(scan({})), (Keys{"0/{a}late", "0/{b}1"}));
  EXPECT_EQ(keys_of(scan({.state = RowState::tomb})), (Keys{"0/{b}t"}));
  EXPECT_EQ(load(full_key(0, "{a}h")).meta.state, RowState::absent);
}

TEST_P(StoreBehaviour, SwapDatabases) {
  apply(put(full_key(0, "a"), 1, "zero"));
  apply(put(full_key(5, "a"), 2, "five"));
  apply(elements(full_key(5, "h"), 3, ValueType::hash, {{"f", false, "v", 0}}));
  Mutation whole = put(full_key(5, "h"), 4, "");
  whole.record.value = HashValue{{"f", "v"}};
  apply(whole);
  store().swap_databases(0, 5, ++token_);
  settle(token_);
  EXPECT_EQ(load(full_key(0, "a")).record, text_record("five"));
  EXPECT_EQ(load(full_key(5, "a")).record, text_record("zero"));
  EXPECT_EQ(std::get<HashValue>(load(full_key(0, "h")).record.value).size(), 1U);
  EXPECT_EQ(keys_of(scan({})), (Keys{"0/a", "0/h", "5/a"}));
  store().swap_databases(0, 0, ++token_);
  store().flush(0, 9, nullptr, ++token_);
  settle(token_);
  EXPECT_EQ(keys_of(scan({})), (Keys{"5/a"}));
}

TEST_P(StoreBehaviour, FactsAnswerAtOnce) {
  EXPECT_EQ(store().fact("cursor"), "");
  store().put_fact("cursor", std::string("a\0b", 3));
  EXPECT_EQ(store().fact("cursor"), std::string("a\0b", 3));
  store().put_fact("cursor", "");
  EXPECT_EQ(store().fact("cursor"), "");
}

TEST_P(StoreBehaviour, EventsMayCallTheStore) {
  class Chained : public Recorder {
   public:
    explicit Chained(Store& store) : store_(store) {}
    void on_applied(StoreToken token, const Error& error, const ApplyResult& result) override {
      Recorder::on_applied(token, error, result);
      store_.load(full_key(0, "a"), 2);
    }

   private:
    Store& store_;
  };
  Chained chained(store());
  store().set_events(&chained);
  store().apply_one(put(full_key(0, "a"), 1, "x"), 1, Durability::written);
  store().submit();
  while (!chained.seen(2) && !HasFatalFailure()) {
    subject_->deliver();
    store().submit();
  }
  EXPECT_EQ(chained.loaded[2].record, text_record("x"));
}

TEST_P(StoreBehaviour, StatsCount) {
  apply(put(full_key(0, "a"), 1, "x"));
  apply(put(full_key(0, "b"), 2, "x"));
  const StoreStats stats = store().stats();
  EXPECT_EQ(stats.applied_total, 2U);
  EXPECT_EQ(stats.queued, 0U);
  EXPECT_EQ(stats.last_error, "");
  EXPECT_EQ(stats.last_error_at_ms, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Stores, StoreBehaviour,
    ::testing::Values(Kind{"memory", [] { return std::make_unique<MemorySubject>(); }},
                      Kind{"faulty", [] { return std::make_unique<FaultySubject>(); }},
                      Kind{"ledger", [] { return std::make_unique<LedgerSubject>(); }},
                      Kind{"sealed_ledger",
                           [] { return std::make_unique<LedgerSubject>(sealed('k')); }},
                      Kind{"compressed_ledger",
                           [] {
                             AtRestOptions at_rest;
                             at_rest.compress = true;
                             return std::make_unique<LedgerSubject>(at_rest);
                           }}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace stayd::test
