// The header cache in front of the database: what is in it need not be read, and is not believed
// once a compaction may have dropped the row.
#include "store/ledger/batch.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "store/ledger/test_ledger.h"

namespace stayd::test {
namespace {

constexpr std::int64_t kHour = 3'600'000;

class BatchTest : public ::testing::Test {
 protected:
  BatchTest() {
    LedgerOptions options = TestLedger::options(folder_.sub("ledger"));
    options.wall_ms = [this] { return wall_ms_.load(); };
    std::filesystem::create_directories(options.path + "/db");
    database_ = Database::open(options, options.path + "/db", Database::Mode::write).value();
    batch_ = std::make_unique<Batch>(*database_, info_, headers_);
  }

  ApplyResult apply(Mutation mutation) { return batch_->apply(mutation, wall_ms_).value(); }
  void write() {
    ASSERT_TRUE(database_->db()->Write(rocksdb::WriteOptions(), &batch_->finish()).ok());
    batch_->written();
    batch_->clear();
  }
  ApplyResult write(Mutation mutation) {
    const ApplyResult result = apply(std::move(mutation));
    write();
    return result;
  }
  // Behind the cache's back.
  void remove_row() {
    const std::string key = row_key(info_.spaces, key_);
    ASSERT_TRUE(database_->db()->Delete(rocksdb::WriteOptions(), database_->meta(), key).ok());
  }
  void compact() {
    database_->mark_synced(database_->rows_now(info_.next_generation));
    rocksdb::CompactRangeOptions range;
    range.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    for (auto* family : {database_->meta(), database_->elements()}) {
      ASSERT_TRUE(database_->db()->CompactRange(range, family, nullptr, nullptr).ok());
    }
  }
  Row load() { return Rows(*database_, info_.spaces).load(key_).value(); }
  Mutation hash(Hlc hlc, std::int64_t expires_at_ms) {
    Mutation out = put(key_, hlc, "", expires_at_ms);
    out.record.value = HashValue{{"a", "1"}};
    return out;
  }

  TempFolder folder_;
  std::atomic<std::int64_t> wall_ms_ = 1'000'000;
  const FullKey key_ = full_key(0, "k");
  LedgerInfo info_;
  HeaderCache headers_{1 << 16};
  std::unique_ptr<Database> database_;
  std::unique_ptr<Batch> batch_;
};

TEST_F(BatchTest, AKnownRowIsNotRead) {
  write(put(key_, 5, "text"));
  remove_row();
  const ApplyResult result = apply(put(key_, 6, "text"));
  EXPECT_EQ(result.before.hlc, 5U);
  EXPECT_EQ(result.before.incarnation, 1U);
  EXPECT_EQ(apply(put(key_, 6, "late")).outcome, ApplyOutcome::superseded);
}

TEST_F(BatchTest, NothingIsKnownOfWhatWasNotWritten) {
  apply(put(key_, 5, "text"));
  batch_->clear();
  EXPECT_EQ(apply(put(key_, 4, "text")).outcome, ApplyOutcome::applied);
}

TEST_F(BatchTest, ARowChangedOftenIsWrittenOnceAndLast) {
  apply(put(key_, 1, "a"));
  apply(tomb(key_, 2, 9'000'000));
  apply(put(key_, 3, "c"));
  write();
  EXPECT_EQ(load().record, text_record("c"));
  EXPECT_EQ(load().meta.incarnation, 2U);
  write(mutation(Mutation::Kind::forget, key_, 4));
  EXPECT_EQ(load().meta, RowMeta{});
  EXPECT_EQ(apply(expiry(key_, 5, 7)).outcome, ApplyOutcome::base_unknown);
}

TEST_F(BatchTest, TheBytesOfAKnownStringAreReadWhenTheyMatter) {
  write(put(key_, 1, "text"));
  write(expiry(key_, 2, 9'000'000));
  EXPECT_EQ(load().record, text_record("text", 9'000'000));
}

// The clock ran ahead, a compaction dropped the row, the clock was set right: the header in the
// cache looks alive, and its elements are gone.
TEST_F(BatchTest, AHeaderWhoseRowACompactionDroppedIsNotBelieved) {
  const std::int64_t now = wall_ms_;
  write(hash(1, now + kHour));
  wall_ms_ = now + 3 * kHour;
  compact();
  wall_ms_ = now;
  EXPECT_EQ(write(expiry(key_, 2, now + 2 * kHour)).outcome, ApplyOutcome::base_unknown);
  EXPECT_EQ(load().meta.state, RowState::absent);
}

// Compactions judge elements by the rows of the last sync: there the old hash may be gone already.
TEST_F(BatchTest, AHashBegunAnewOverAnExpiredOneHasElementsOfItsOwn) {
  const std::int64_t now = wall_ms_;
  write(hash(1, now + 1));
  wall_ms_ = now + 2;
  ASSERT_EQ(write(elements(key_, 2, ValueType::hash, {{"a", false, "2"}})).outcome,
            ApplyOutcome::applied);
  EXPECT_EQ(headers_.find(row_key(info_.spaces, key_))->generation, 2U);
  compact();
  EXPECT_EQ(std::get<HashValue>(load().record.value), (HashValue{{"a", "2"}}));
}

}  // namespace
}  // namespace stayd::test
