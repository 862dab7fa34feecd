// The walk that seals older rows anew: over many steps, beside writes, on a disk that fails or is
// full. Whatever happens, no data key leaves the ring that a value still needs.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "base/random.h"
#include "store/ledger/at_rest.h"
#include "store/ledger/reader.h"
#include "store/ledger/test_disk.h"
#include "store/ledger/test_ledger.h"

namespace stayd::test {
namespace {

constexpr int kRows = 1'000;
constexpr int kHashes = 100;
const std::string kText(200, 't');

FullKey key_of(int n) {
  return full_key(0, "sess:" + std::to_string(n));
}

class Reseal : public ::testing::Test {
 protected:
  Reseal() : path_(folder_.sub("ledger")) { state_.ballast = path_ + "/ballast"; }

  LedgerOptions options(AtRestOptions at_rest = {}) {
    LedgerOptions out = TestLedger::options(path_);
    out.env = env_.get();
    out.at_rest = std::move(at_rest);
    return out;
  }
  void write_rows(TestLedger& test, int rows) {
    for (int n = 0; n < rows; ++n)
      test.ledger->apply_one(put(key_of(n), ++hlc_, kText), 0, Durability::written);
    test.load(key_of(0));
  }
  void write_hashes(TestLedger& test, int rows, int fields) {
    for (int n = 0; n < rows; ++n) {
      HashValue fresh;
      for (int i = 0; i < fields; ++i) fresh["field" + std::to_string(i)] = kText;
      Mutation hash = put(key_of(n), ++hlc_, "");
      hash.record.value = std::move(fresh);
      test.apply(std::move(hash));
    }
  }
  static void expect_rows(TestLedger& test, int rows) {
    for (int n = 0; n < rows; ++n) {
      const Row row = test.load(key_of(n));
      ASSERT_EQ(test.last_error.message, "") << n;
      ASSERT_EQ(row.record, text_record(kText)) << n;
    }
  }
  static std::string rekey(TestLedger& test, AtRestOptions at_rest) {
    std::string told = "nothing";
    test.ledger->rekey(std::move(at_rest), [&told](const Error& e) { told = e.message; });
    test.load(full_key(0, "none"));
    return told;
  }
  static void until(const std::function<bool()>& condition) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), limit);
      std::this_thread::yield();
    }
  }
  static void settle(TestLedger& test) {
    until([&test] { return !test.ledger->stats().resealing; });
  }
  LedgerReader::AtRestStats stats() const {
    const auto reader = open_reader(path_, nullptr);
    EXPECT_TRUE(reader);
    return (*reader)->at_rest_stats().value();
  }
  // Values by data key, 0 for those in clear.
  std::map<std::uint32_t, std::uint64_t> values() const {
    auto out = stats().sealed;
    if (stats().plain > 0) out[0] = stats().plain;
    return out;
  }

  TempFolder folder_;
  const std::string path_;
  DiskState state_;
  std::unique_ptr<rocksdb::Env> env_ = faulty_env(state_);
  Hlc hlc_ = 0;
};

using Values = std::map<std::uint32_t, std::uint64_t>;

// A walk whose first look failed used to count as one that has ended: the next key took the data
// key away under which everything still was.
TEST_F(Reseal, ReadsThatFailDoNotEndIt) {
  {
    TestLedger test(options());
    write_rows(test, kRows);
  }
  TestLedger test(options());
  state_.reads_fail = true;
  ASSERT_EQ(rekey(test, sealed('a')), "");
  until([&] { return state_.failed_reads > 0; });
  EXPECT_TRUE(test.ledger->stats().resealing);
  ASSERT_EQ(rekey(test, sealed('b', "a")), "");
  ASSERT_EQ(rekey(test, sealed('c', "b")), "");
  state_.reads_fail = false;
  settle(test);
  EXPECT_EQ(test.ledger->stats().resealed, kRows);
  expect_rows(test, kRows);
  test.ledger->close();
  EXPECT_EQ(values(), (Values{{3, kRows}}));
}

// Used to be skipped for good, with one error that nobody had to see.
TEST_F(Reseal, ARowThatCannotBeReadNowIsReadLater) {
  {
    TestLedger test(options());
    write_hashes(test, 20, 20);
  }
  TestLedger test(options());
  state_.reads_fail = true;
  ASSERT_EQ(rekey(test, sealed('a')), "");
  until([&] { return state_.failed_reads > 0; });
  EXPECT_TRUE(test.ledger->stats().resealing);
  state_.reads_fail = false;
  settle(test);
  test.ledger->close();
  EXPECT_EQ(values(), (Values{{1, 400}}));
}

// A row that does not open may have been read wrongly: its data key stays until a walk over all
// rows has found nothing of the kind.
TEST_F(Reseal, AValueThatDoesNotOpenKeepsItsKey) {
  const auto change_key_1 = [this](const std::function<void(std::string&)>& change) {
    auto opened = Database::open(options(), path_ + "/db", Database::Mode::write);
    ASSERT_TRUE(opened);
    Database& database = **opened;
    const std::string key = row_key(identity_spaces(), key_of(1));
    std::string bytes;
    ASSERT_TRUE(database.db()->Get({}, database.meta(), key, &bytes).ok());
    change(bytes);
    ASSERT_TRUE(database.db()->Put({}, database.meta(), key, bytes).ok());
    database.close(true);
  };
  {
    TestLedger test(options(sealed('a')));
    write_rows(test, 10);
    settle(test);
  }
  std::string right;
  change_key_1([&right](std::string& bytes) {
    right = bytes;
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
  });
  for (const auto& at_rest : {sealed('b', "a"), sealed('c', "b"), sealed('d', "c")}) {
    TestLedger test(options(at_rest));
    settle(test);
    test.load(key_of(1));
    EXPECT_EQ(test.last_error.code, Errc::corrupt);
  }
  EXPECT_EQ(values(), (Values{{1, 1}, {4, 9}}));
  change_key_1([&right](std::string& bytes) { bytes = right; });
  {
    TestLedger test(options(sealed('d')));
    EXPECT_FALSE(test.ledger->stats().resealing);
    expect_rows(test, 10);
  }
  TestLedger test(options(sealed('e', "d")));
  settle(test);
  expect_rows(test, 10);
  test.ledger->close();
  EXPECT_EQ(values(), (Values{{5, 10}}));
}

// The fact that all is sealed used to reach the disk without the rows of the last step.
TEST_F(Reseal, WhatWasNotWrittenIsNotCalledSealed) {
  {
    TestLedger test(options());
    write_rows(test, 200);
  }
  {
    TestLedger test(options());
    state_.disk = Disk::large_fail;
    ASSERT_EQ(rekey(test, sealed('a')), "");
    until([&test] { return !test.ledger->stats().last_error.empty(); });
    EXPECT_TRUE(test.ledger->stats().resealing);
    until([&] {  // small writes come through as soon as the ledger has been opened anew
      test.apply(put(full_key(0, "small"), ++hlc_, "x"));
      return test.last_error.message.empty();
    });
  }
  state_.disk = Disk::fine;
  TestLedger test(options(sealed('a')));
  settle(test);
  expect_rows(test, 200);
  test.ledger->close();
  EXPECT_EQ(values(), (Values{{1, 201}}));
}

// The walk meets the full disk first: the ballast belongs to the logouts all the same.
TEST_F(Reseal, AFullDiskUnderItTakesLogouts) {
  {
    TestLedger test(options());
    write_rows(test, 200);
  }
  LedgerOptions with_ballast = options();
  with_ballast.ballast_bytes = 100'000;
  TestLedger test(with_ballast);
  until([this] { return std::filesystem::exists(state_.ballast); });
  state_.disk = Disk::large_full;
  ASSERT_EQ(rekey(test, sealed('a')), "");
  until([&test] { return !test.ledger->stats().last_error.empty(); });
  for (int n = 0; n < 5; ++n) {
    test.apply(tomb(key_of(n), ++hlc_, 9'000'000), Durability::synced);
    EXPECT_EQ(test.last_error.message, "");
  }
  state_.disk = Disk::fine;
  settle(test);
  EXPECT_EQ(test.load(key_of(0)).meta.state, RowState::tomb);
  test.ledger->close();
  EXPECT_EQ(values(), (Values{{1, 195}}));
}

// What a step costs grows with the elements that it reads and writes, not with its rows alone.
TEST_F(Reseal, AStepIsBoundedByElements) {
  {
    TestLedger test(options());
    write_hashes(test, 20, 200);
  }
  TestLedger test(options(sealed('a')));
  settle(test);
  EXPECT_EQ(test.ledger->stats().resealed, 20u);
  EXPECT_GE(test.ledger->stats().batches_total, 10u);
}

// Many steps; beside them writes of every kind before and behind the walk, twice a disk that
// fails, and two more keys before it has ended.
TEST_F(Reseal, NothingIsLostBesideWritesFaultsAndMoreKeys) {
  std::map<FullKey, Row> rows;
  std::set<FullKey> changed;
  {
    TestLedger test(options());
    write_rows(test, kRows);
    write_hashes(test, kHashes, 30);  // in place of the first rows
  }
  Random random(7);
  TestLedger test(options());
  const auto change = [&] {
    const FullKey key = key_of(static_cast<int>(random.below(kRows + 50)));
    changed.insert(key);
    switch (random.below(4)) {
      case 0:
        return put(key, ++hlc_, "new");
      case 1:
        return elements(key, ++hlc_, ValueType::hash,
                        {{.name = "field" + std::to_string(random.below(40)), .value = "changed"},
                         {.name = "field1", .removed = true}});
      case 2:
        return expiry(key, ++hlc_, 50'000'000);
      default:
        return tomb(key, ++hlc_, 90'000'000);
    }
  };
  const auto change_until = [&](const std::function<bool()>& condition) {
    int left = 60;  // so that the walk has something to do
    until([&] {
      if (left-- > 0) test.apply(change());
      return condition();
    });
  };
  const auto walked = [&](std::uint64_t rows) {
    return [&test, rows] { return test.ledger->stats().resealed >= rows; };
  };
  ASSERT_EQ(rekey(test, sealed('a')), "");
  change_until(walked(100));
  ASSERT_EQ(rekey(test, sealed('b', "a")), "");
  change_until(walked(100));
  for (const Disk fault : {Disk::large_fail, Disk::failing}) {
    state_.disk = fault;
    const int before = state_.failed_writes;
    change_until([&] { return state_.failed_writes > before || !test.ledger->stats().resealing; });
    state_.disk = Disk::fine;
    until([&] {
      test.apply(change());
      return test.last_error.message.empty();
    });
  }
  until([&] { return rekey(test, sealed('c', "b")).empty(); });
  change_until([&] { return !test.ledger->stats().resealing; });
  for (int n = 0; n < kRows + 50; ++n) {
    Row& row = rows[key_of(n)] = test.load(key_of(n));
    ASSERT_EQ(test.last_error.message, "") << n;
    const bool as_before = n >= kHashes && n < kRows && !changed.contains(key_of(n));
    if (as_before) ASSERT_EQ(row.record, text_record(kText)) << n;
  }
  ASSERT_EQ(rekey(test, sealed('d', "c")), "") << "takes the keys away that nothing needs";
  settle(test);
  test.ledger->close();
  EXPECT_EQ(values().size(), 1u);
  EXPECT_EQ(values().begin()->first, 4u);
  TestLedger again(options(sealed('d')));
  for (const auto& [key, row] : rows) {
    const Row found = again.load(key);
    ASSERT_EQ(again.last_error.message, "") << key;
    ASSERT_EQ(found.meta, row.meta) << key;
    ASSERT_EQ(found.record, row.record) << key;
  }
}

// Of the two rings either may be on disk then, as of any write that failed: both keys open it.
TEST_F(Reseal, ARingThatCannotBeWrittenLeavesTheKeysAsTheyWere) {
  LedgerOptions first = options(sealed('a'));
  first.ballast_bytes = 100'000;
  TestLedger test(first);
  write_rows(test, 10);
  until([this] { return std::filesystem::exists(state_.ballast); });
  state_.disk = Disk::full_unless_ballast_gone;
  const std::string told = rekey(test, sealed('b', "a"));
  EXPECT_NE(told.find("keep the new key and the old one"), std::string::npos) << told;
  test.apply(tomb(key_of(9), ++hlc_, 9'000'000), Durability::synced);
  EXPECT_EQ(test.last_error.message, "") << "logouts have the ballast";
  state_.disk = Disk::failing;
  EXPECT_NE(rekey(test, sealed('b', "a")), "");
  EXPECT_EQ(test.ledger->stats().data_key, 1u);
  expect_rows(test, 9);
  state_.disk = Disk::fine;
  until([&] { return rekey(test, sealed('b', "a")).empty(); });
  EXPECT_EQ(test.ledger->stats().data_key, 2u);
  settle(test);
  expect_rows(test, 9);
  test.ledger->close();
  EXPECT_EQ(values(), (Values{{2, 9}}));
}

}  // namespace
}  // namespace stayd::test
