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
// After a step that the disk refused.
constexpr std::int64_t kRetryUs = 1'000'000;
constexpr std::size_t kStepValues = 256;  // rows, and elements of collections
constexpr std::size_t kStepBytes = std::size_t{1} << 20;

std::string_view view(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

Result<bool> is_sealed_under(const Database& database, std::string_view row_key,
                             const StoredRow& row, std::uint32_t data_key) {
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
  if (!it->status().ok()) return to_error(it->status(), "cannot read a collection");
  return true;
}

// Of a row that says nothing under any key that there is; any other error may pass.
bool is_damage(const Error& error) {
  return error.code == Errc::corrupt || error.code == Errc::newer_format;
}

}  // namespace

void Worker::begin_reseal() {
  resealing_ = reseal_wanted(*database_);
  reseal_from_.clear();
  reseal_skipped_ = 0;
  const std::lock_guard lock(mutex_);
  stats_.resealing = resealing_;
  stats_.resealed = stats_.reseal_skipped = 0;
  stats_.data_key = database_->values().seals() ? database_->values().ring()->active().id : 0;
}

bool Worker::can_reseal() const {
  return resealing_ && !broken_ && !full_ && database_->is_open();
}

void Worker::reseal_if_due() {
  if (!can_reseal() || mono_us() < reseal_due_us_) return;
  reseal_due_us_ = mono_us() + kStepIntervalUs;
  std::string from = reseal_from_;
  const Result<ResealStep> step = gather_reseal(from);
  Error error = step ? write_reseal(*step) : step.error();
  batch_.clear();
  if (!error.message.empty()) {  // the same step again
    reseal_due_us_ = mono_us() + kRetryUs;
    return error.code == Errc::no_space ? retry_without_space(error) : note_error(error);
  }
  reseal_from_ = std::move(from);
  reseal_skipped_ += step->skipped;
  resealing_ = !step->ends;
  const std::lock_guard lock(mutex_);
  stats_.reseal_skipped = reseal_skipped_;
  stats_.resealed += step->rows;
  stats_.resealing = resealing_;
}

Error Worker::write_reseal(const ResealStep& step) {
  if (step.ends) {  // with its rows or not at all
    const std::string key = std::string(kFactPrefix) + kSealedFact;
    const std::string fact = sealed_fact(*database_, reseal_skipped_ + step.skipped);
    batch_.finish().Put(database_->facts(), key, fact).PermitUncheckedError();
  }
  if (step.rows == 0 && !step.ends) return {};
  const rocksdb::Status status = write_batch();
  if (!status.ok()) return to_error(status, "cannot seal older values anew");
  return {};
}

// Rows from `from` on into the batch, and where to go on. Errors: the disk's; nothing of the step
// counts then.
Result<Worker::ResealStep> Worker::gather_reseal(std::string& from) {
  const std::uint32_t data_key = database_->values().ring()->active().id;
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(
      database_->db()->NewIterator(options, database_->meta()));
  ResealStep step;
  std::size_t visited = 0;
  for (it->Seek(from); it->Valid(); it->Next()) {
    from = it->key().ToString();
    if (visited >= kStepValues || batch_.bytes() >= kStepBytes) return step;
    const Result<StoredRow> row = decode_row(view(it->value()));
    visited += 1 + (row && is_collection(row->meta.type) ? row->elements : 0);
    const bool has_value =
        row && row->meta.state == RowState::live && row->meta.type != ValueType::none;
    if (row && !has_value) continue;
    Result<bool> sealed = row ? is_sealed_under(*database_, from, *row, data_key) : row.error();
    if (sealed && *sealed) continue;
    const Result<void> repacked = sealed ? batch_.repack(from) : sealed.error();
    if (repacked) {
      ++step.rows;
      continue;
    }
    if (!is_damage(repacked.error())) return repacked.error();
    ++step.skipped;  // it stays as it is
    // Pages and logs name no keys: they are what a cookie carries.
    const Error& error = repacked.error();
    note_error(make_error(error.code, error.message + " (\"stayd ledger ls\" names its key)"));
  }
  if (!it->status().ok()) return to_error(it->status(), "cannot walk over the rows");
  step.ends = true;
  return step;
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
  } else if (const Result<void> unlocked = set_up_at_rest(*database_, folder_, operation.at_rest);
             !unlocked) {
    report.error = unlocked.error();
    if (report.error.code == Errc::no_space) retry_without_space(report.error);
    if (report.error.code == Errc::io) broken_ = log_doubtful_ = true;
  }
  if (report.error.message.empty()) begin_reseal();
  reports_.push_back(std::move(report));
}

}  // namespace stayd
