// The worker's walk over rows that are not sealed under the active data key yet: after encryption
// was turned on, or another master key was given. A step at a time, between operations, so that
// nobody waits for it; from the start again after a restart.
#include <rocksdb/db.h>

#include <algorithm>
#include <memory>

#include "store/ledger/at_rest.h"
#include "store/ledger/element_codec.h"
#include "store/ledger/worker.h"

namespace stayd {
namespace {

// About a millisecond or two of work each 20 ms.
constexpr std::int64_t kStepIntervalUs = 20'000;
constexpr std::size_t kStepRows = 256;
constexpr std::size_t kStepBytes = std::size_t{1} << 20;

std::string_view view(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

bool is_sealed_under(const Database& database, std::string_view row_key, const StoredRow& row,
                     std::uint32_t data_key) {
  if (!row.packed) return false;
  if (!is_collection(row.meta.type)) return ValueCodec::sealed_under(row.payload) == data_key;
  if (!row.hashed) return false;
  const std::string prefix = element_prefix(row_key, row.generation);
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(
      database.db()->NewIterator(options, database.elements()));
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    if (ValueCodec::sealed_under(view(it->value())) != data_key) return false;
  }
  return it->status().ok();
}

}  // namespace

void Worker::begin_reseal() {
  resealing_ = reseal_wanted(*database_);
  reseal_from_.clear();
  const std::lock_guard lock(mutex_);
  stats_.resealing = resealing_;
  stats_.data_key = database_->values().seals() ? database_->values().ring()->active().id : 0;
}

void Worker::reseal_if_due() {
  if (!resealing_ || broken_ || full_ || !database_->is_open()) return;
  const std::int64_t now_us = mono_us();
  if (now_us - reseal_at_us_ < kStepIntervalUs) return;
  reseal_at_us_ = now_us;
  std::string from = reseal_from_;
  const std::uint64_t rows = gather_reseal(from);
  const bool ends = from.empty();
  if (ends) {
    dirty_facts_[kSealedFact] = std::to_string(database_->values().ring()->active().id);
  }
  // After a failure: the same step again.
  if ((rows > 0 || ends) && !write_batch().ok()) return batch_.clear();
  batch_.clear();
  reseal_from_ = std::move(from);
  resealing_ = !ends;
  const std::lock_guard lock(mutex_);
  stats_.resealed_total += rows;
  stats_.resealing = resealing_;
}

// Rows from `from` on into the batch; where to go on, or empty at the end. How many there are.
std::uint64_t Worker::gather_reseal(std::string& from) {
  const std::uint32_t data_key = database_->values().ring()->active().id;
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(
      database_->db()->NewIterator(options, database_->meta()));
  std::uint64_t gathered = 0;
  std::size_t visited = 0;
  for (it->Seek(from); it->Valid(); it->Next()) {
    from = it->key().ToString();
    if (++visited > kStepRows || batch_.bytes() >= kStepBytes) return gathered;
    const Result<StoredRow> row = decode_row(view(it->value()));
    if (!row || row->meta.state != RowState::live || row->meta.type == ValueType::none) continue;
    if (is_sealed_under(*database_, from, *row, data_key)) continue;
    const Result<void> repacked = batch_.repack(from);
    if (repacked) {
      ++gathered;
    } else {
      note_error(repacked.error());  // it stays as it is: a read will name it
    }
  }
  if (it->status().ok()) from.clear();
  return gathered;
}

// SIGHUP: another master key, or the first.
void Worker::rekey(RekeyOne& operation) {
  commit();
  Report report{0, {}, Rekeyed{std::move(operation.done)}};
  if (broken_) recover();
  if (const std::optional<Error> error = unusable()) {
    report.error = *error;
  } else if (broken_) {
    report.error = make_error(Errc::unavailable, "ledger: the disk takes no writes");
  } else if (const Result<void> unlocked = unlock(*database_, folder_, operation.at_rest);
             !unlocked) {
    report.error = unlocked.error();
  }
  if (report.error.message.empty()) begin_reseal();
  reports_.push_back(std::move(report));
}

}  // namespace stayd
