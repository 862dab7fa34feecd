// The worker's dealings with the disk: writing batches, syncing, running out of space, coming back.
#include <rocksdb/env.h>

#include <algorithm>
#include <utility>

#include "store/ledger/worker.h"

namespace stayd {
namespace {

using rocksdb::Slice;
using rocksdb::Status;

constexpr std::int64_t kRecoverIntervalUs = 1'000'000;
constexpr std::int64_t kFlushIntervalUs = 5'000'000;
constexpr std::int64_t kTendIntervalUs = 1'000'000;
constexpr const char* kWaiting = "nothing is written after a disk error until it is opened anew";
// A sync that takes longer than so many intervals is waited for: what a power cut may cost stays
// bounded.
constexpr std::int64_t kStuckIntervals = 10;

Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

Error Worker::no_room_at_all() {
  return make_error(Errc::no_space, "ledger: the disk is full, and so is the memory for logouts");
}

void Worker::commit() {
  if (gathered_.empty() && (dirty_facts_.empty() || database_->memory_is_full())) return;
  const Status status = write_batch();
  if (!status.ok()) {
    const Error error = to_error(status, "cannot write");
    if (error.code == Errc::no_space && (!gathered_.empty() || !full_)) {
      retry_without_space(error);
    } else {
      refuse_all(error);
    }
  }
  batch_.clear();
  gathered_.clear();
  sync_wanted_ = false;
}

Status Worker::write_batch() {
  if (broken_) recover();
  // After a failed sync RocksDB would go on, upon a log that the disk may lack.
  if (broken_ || !database_->is_open()) return Status::IOError(kWaiting);
  rocksdb::WriteBatch& batch = batch_.finish();
  for (const auto& [name, value] : dirty_facts_) {
    const std::string key = std::string(kFactPrefix) + name;
    batch.Put(database_->facts(), key, value).PermitUncheckedError();
  }
  Status status;
  if (!batch_.empty()) {
    const std::string info = encode_info(info_);
    batch.Put(database_->facts(), slice(kInfoKey), info).PermitUncheckedError();
    status = database_->db()->Write(rocksdb::WriteOptions(), &batch);
  }
  broken_ = !status.ok();
  if (broken_) {
    headers_.clear();  // who knows what was written
    return status;
  }
  dirty_facts_.clear();
  batch_.written();
  if (!unsynced_ && !batch_.empty()) {
    unsynced_ = true;
    unsynced_since_us_ = mono_us();
  }
  written();
  // All superseded: by rows that may not be synced yet.
  if (sync_wanted_ && (unsynced_ || syncer_.started())) hold_synced();
  return status;
}

void Worker::written() {
  highest_hlc_.store(info_.highest_hlc, std::memory_order_relaxed);
  std::uint64_t mutations = 0;
  for (const Gathered& gathered : gathered_) mutations += gathered.count;
  const std::lock_guard lock(mutex_);
  stats_.applied_total += mutations;
  stats_.batches_total += 1;
}

// Also when it was not a logout that met the full disk: the next one finds the room.
// Resuming would have RocksDB write its memory to a table file, which does not fit either; opening
// again needs next to nothing.
void Worker::retry_without_space(const Error& error) {
  note_error(error);
  full_ = true;
  folder_.drop_ballast();
  batch_.clear();
  reopen();
  std::vector<Gathered> small;
  for (const Gathered& gathered : gathered_) {
    if (may_grow(gathered) || !database_->is_open()) {
      refuse(gathered, error);
    } else {
      small.push_back(gathered);
    }
  }
  gathered_ = std::move(small);
  if (gathered_.empty()) return;
  for (const Gathered& gathered : gathered_) {
    if (!apply_gathered(gathered)) return refuse_all(error);
  }
  const Status status = write_batch();
  if (!status.ok()) refuse_all(to_error(status, "cannot write a logout"));
}

// An operation of its own batch, synced (R18).
void Worker::write_now(rocksdb::WriteBatch& batch, LedgerInfo next, StoreToken token,
                       const char* doing) {
  if (broken_) recover();
  if (const std::optional<Error> error = unusable()) return report_applied(token, *error);
  if (broken_) return report_applied(token, to_error(Status::IOError(kWaiting), doing));
  if (database_->memory_is_full()) return report_applied(token, no_room_at_all());
  const std::string info = encode_info(next);
  batch.Put(database_->facts(), slice(kInfoKey), info).PermitUncheckedError();
  rocksdb::WriteOptions options;
  options.sync = true;
  const Status status = database_->db()->Write(options, &batch);
  broken_ = !status.ok();
  headers_.clear();
  if (broken_) {
    const Error error = to_error(status, doing);
    log_doubtful_ |= error.code != Errc::no_space;
    report_applied(token, error);
    return error.code == Errc::no_space ? retry_without_space(error) : void();
  }
  info_ = next;
  written();
  unsynced_ = false;
  release_held({});  // it synced the log, and what stands before it
  report_applied(token, {});
  const std::lock_guard lock(mutex_);
  ++stats_.sync_total;
}

void Worker::sync_if_due() {
  if (const std::optional<Result<void>> result = syncer_.take()) end_sync(*result);
  const std::int64_t waited_us = unsynced_ ? mono_us() - unsynced_since_us_ : 0;
  if (waited_us >= kStuckIntervals * options_.sync_interval_ms * 1000) await_sync();
  if (!unsynced_ || syncer_.started() || !database_->is_open()) return;
  const bool due = !broken_ && waited_us >= options_.sync_interval_ms * 1000;
  if (due || !unsynced_reports_.empty()) start_sync();
}

void Worker::start_sync() {
  unsynced_ = false;
  syncing_reports_.swap(unsynced_reports_);
  syncing_rows_ = database_->rows_now(info_.next_generation);
  syncer_.start();
}

void Worker::end_sync(const Result<void>& result) {
  const std::shared_ptr<const SyncedRows> rows = std::exchange(syncing_rows_, nullptr);
  if (!result) {
    broken_ = unsynced_ = log_doubtful_ = true;
    release_held(result.error());
    return note_error(result.error());
  }
  std::move(syncing_reports_.begin(), syncing_reports_.end(), std::back_inserter(reports_));
  syncing_reports_.clear();
  database_->mark_synced(rows);
  const std::lock_guard lock(mutex_);
  ++stats_.sync_total;
}

void Worker::await_sync() {
  if (syncer_.started()) end_sync(syncer_.wait());
}

// The reports of the batch's synced mutations leave later.
void Worker::hold_synced() {
  if (!std::exchange(unsynced_, true)) unsynced_since_us_ = mono_us();
  for (const Gathered& gathered : gathered_) {
    if (!gathered.synced) continue;
    std::size_t at = gathered.first_report;
    for (std::size_t i = 0; i < gathered.count; ++i) {
      if (gathered.changes[i].token == 0) continue;
      Report& report = reports_[at++];
      if (!report.error.message.empty()) continue;
      unsynced_reports_.push_back(std::move(report));
      report.token = 0;
    }
  }
  std::erase_if(reports_, [](const Report& report) { return report.token == 0; });
}

void Worker::release_held(const Error& error) {
  for (auto* held : {&syncing_reports_, &unsynced_reports_}) {
    for (Report& report : *held) {
      report.error = error;
      reports_.push_back(std::move(report));
    }
    held->clear();
  }
}

// Until nothing is held any more: before the logs change hands.
void Worker::settle_held() {
  await_sync();
  if (unsynced_reports_.empty()) return;
  start_sync();
  await_sync();
}

// While closed there are no reads: only when the disk takes writes again.
void Worker::recover() {
  const std::int64_t now_us = mono_us();
  if (recovered_at_us_ != 0 && now_us - recovered_at_us_ < kRecoverIntervalUs) return;
  recovered_at_us_ = now_us;
  const std::string probe = folder_.path() + "/probe";
  const Status status = rocksdb::WriteStringToFile(database_->env(), "probe", probe, true);
  database_->env()->DeleteFile(probe).PermitUncheckedError();
  if (status.ok()) reopen();
}

void Worker::reopen() {
  recovered_at_us_ = mono_us();
  settle_held();
  headers_.clear();
  const bool in_memory = full_ && !log_doubtful_;
  Result<void> opened = in_memory ? database_->reopen_in_memory() : database_->reopen();
  if (!opened && opened.error().code == Errc::no_space && !in_memory && !log_doubtful_) {
    full_ = true;
    opened = database_->reopen_in_memory();
  }
  broken_ = !opened;
  if (broken_) return note_error(opened.error());
  log_doubtful_ = false;
  unsynced_ = false;  // opening synced or flushed every log
  begin_reseal();     // of what the walk has written, the end may be lost
  // The batch that failed may be there after all, and with it its info.
  const Result<LedgerInfo> info = database_->read_info();
  if (!info) return;
  info_.spaces = info->spaces;
  info_.highest_hlc = std::max(info_.highest_hlc, info->highest_hlc);
  info_.next_generation = std::max(info_.next_generation, info->next_generation);
}

// Once per second: statistics, space, the way back when nobody writes.
void Worker::tend() {
  const std::int64_t now_us = mono_us();
  if (tended_at_us_ != 0 && now_us - tended_at_us_ < kTendIntervalUs) return;
  tended_at_us_ = now_us;
  if (broken_ || !database_->is_open()) recover();
  const std::uint64_t used = folder_.used_bytes();
  watch_space(used);
  std::uint64_t rows = 0;
  std::uint64_t memory = 0;
  if (database_->is_open()) {
    memory = database_->memory_bytes();
    if (!unsynced_ && !syncer_.started() && !broken_) {
      database_->mark_synced(database_->rows_now(info_.next_generation));
    }
    database_->db()->GetIntProperty(database_->meta(), rocksdb::DB::Properties::kEstimateNumKeys,
                                    &rows);
  }
  const std::lock_guard lock(mutex_);
  stats_.rows_estimate = rows;
  stats_.disk_bytes = used;
  stats_.memory_bytes = memory;
}

void Worker::watch_space(std::uint64_t used_bytes) {
  const bool over_limit = options_.max_disk_bytes != 0 && used_bytes >= options_.max_disk_bytes;
  if (over_limit) full_ = true;
  // Room for the ballast, a table file and a log, so that it does not flap; more where a full disk
  // has left more in memory. It may find no room all the same, a quota say, and takes a second.
  const bool in_memory = database_->in_memory();
  const std::uint64_t needed =
      options_.ballast_bytes + (in_memory ? 4 : 2) * options_.write_buffer_bytes;
  const bool room = folder_.free_bytes() >= needed;
  if (!room || over_limit) return;
  if (in_memory && mono_us() - recovered_at_us_ < kFlushIntervalUs) return;
  const bool has_ballast = options_.ballast_bytes == 0 || folder_.has_ballast() ||
                           folder_.make_ballast(options_.ballast_bytes);
  if (!has_ballast) return;
  full_ = false;
  if (in_memory) reopen();
}

}  // namespace stayd
