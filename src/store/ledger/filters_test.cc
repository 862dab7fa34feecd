// What leaves the disk at a compaction, and what stays.
#include "store/ledger/filters.h"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>

#include "store/ledger/database.h"
#include "store/ledger/folder.h"
#include "store/ledger/rows.h"
#include "store/ledger/test_ledger.h"

namespace stayd::test {
namespace {

constexpr std::int64_t kHour = 3'600'000;

std::size_t count(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family) {
  std::size_t out = 0;
  const std::unique_ptr<rocksdb::Iterator> it(db->NewIterator(rocksdb::ReadOptions(), family));
  for (it->SeekToFirst(); it->Valid(); it->Next()) ++out;
  return out;
}

std::unique_ptr<Database> open_database(const LedgerOptions& options) {
  return Database::open(options, options.path + "/db", Database::Mode::write).value();
}

// The ledger's files, opened directly, compacted at a chosen time.
class Compacted {
 public:
  Compacted(LedgerOptions options, std::int64_t wall_ms) {
    options.wall_ms = [wall_ms] { return wall_ms; };
    database_ = open_database(options);
    const LedgerInfo info = database_->read_info().value();
    database_->mark_synced(database_->rows_now(info.next_generation));
    rocksdb::CompactRangeOptions range;
    range.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    for (auto* family : {database_->meta(), database_->tombs(), database_->elements()}) {
      EXPECT_TRUE(database_->db()->CompactRange(range, family, nullptr, nullptr).ok());
    }
  }
  std::size_t rows() const { return count(database_->db(), database_->meta()); }
  std::size_t tombs() const { return count(database_->db(), database_->tombs()); }
  std::size_t elements() const { return count(database_->db(), database_->elements()); }

 private:
  std::unique_ptr<Database> database_;
};

class Filters : public ::testing::Test {
 protected:
  LedgerOptions options() const { return TestLedger::options(folder_.sub("ledger")); }
  TempFolder folder_;
};

TEST_F(Filters, ExpiredRowsLeaveAfterTheSlackAndTombstonesAfterTheirTime) {
  {
    TestLedger test(options());
    test.apply(put(full_key(0, "for ever"), 1, "x"));
    test.apply(put(full_key(0, "expires"), 2, "x", 2 * kHour));
    test.apply(tomb(full_key(0, "tomb"), 3, 4 * kHour));
    test.apply(tomb(full_key(0, "no time told"), 4, 0));
  }
  {
    const Compacted at(options(), 3 * kHour);
    EXPECT_EQ(at.rows(), 4U);
    EXPECT_EQ(at.tombs(), 2U);
  }
  {
    const Compacted at(options(), 3 * kHour + 1);
    EXPECT_EQ(at.rows(), 3U);
  }
  const Compacted at(options(), 4 * kHour + 1);
  EXPECT_EQ(at.rows(), 2U);
  EXPECT_EQ(at.tombs(), 1U);
}

// Redis takes any expiry up to 2^63 - 1 ms; a tombstone lasts as long as the copies it covers.
TEST_F(Filters, RowsWhoseExpiryNeverComesStay) {
  constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  {
    TestLedger test(options());
    test.apply(put(full_key(0, "far"), 1, "x", kNever));
    test.apply(put(full_key(0, "was far"), 2, "x", kNever));
    test.apply(put(full_key(0, "was far"), 3, "x", 2 * kHour));
    test.apply(put(full_key(0, "ends"), 4, "x", 2 * kHour));
  }
  const Compacted at(options(), 4 * kHour);
  EXPECT_EQ(at.rows(), 2U);
}

TEST_F(Filters, ElementsOfReplacedRemovedAndExpiredRowsLeave) {
  Mutation hash = put(full_key(0, "kept"), 1, "");
  hash.record.value = HashValue{{"a", "1"}, {"b", "2"}};
  {
    TestLedger test(options());
    test.apply(hash);
    hash.hlc = 2;
    hash.record.value = HashValue{{"c", "3"}};
    test.apply(hash);  // replaced: 2 left over
    hash.key = full_key(0, "removed");
    test.apply(hash);
    test.apply(tomb(hash.key, 3, 9 * kHour));
    hash.key = full_key(0, "forgotten");
    test.apply(hash);
    test.apply(mutation(Mutation::Kind::forget, hash.key, 4));
    hash.key = full_key(0, "text now");
    test.apply(hash);
    test.apply(put(hash.key, 5, "text"));
    hash.key = full_key(0, "expires");
    hash.record.expires_at_ms = 2 * kHour;
    test.apply(hash);
  }
  {
    const Compacted at(options(), kHour);
    EXPECT_EQ(at.elements(), 2U);
  }
  {
    const Compacted at(options(), 3 * kHour + 1);
    EXPECT_EQ(at.elements(), 1U);
  }
  TestLedger test(options());
  EXPECT_EQ(std::get<HashValue>(test.load(full_key(0, "kept")).record.value),
            (HashValue{{"c", "3"}}));
}

// A collection that lost elements on disk must never be taken for the whole (I13).
TEST_F(Filters, APartialCollectionIsAnErrorNotAValue) {
  Mutation set = put(full_key(0, "s"), 1, "");
  set.record.value = SetValue{"a", "b"};
  TestLedger(options()).apply(set);
  {
    const auto database = open_database(options());
    StoredRow row;
    row.generation = 1;
    const ElementCodec codec(database->values(), row_key(identity_spaces(), set.key), row);
    const std::string key = codec.key_of("a");
    ASSERT_TRUE(Rows(*database, identity_spaces()).element(codec, key).value().has_value());
    ASSERT_TRUE(database->db()->Delete(rocksdb::WriteOptions(), database->elements(), key).ok());
  }
  TestLedger test(options());
  test.load(set.key);
  EXPECT_EQ(test.last_error.code, Errc::corrupt);
  set.hlc = 2;
  test.apply(set);
  EXPECT_EQ(test.load(set.key).record, set.record);
}

}  // namespace
}  // namespace stayd::test
