#include "store/ledger/worker.h"

#include <rocksdb/env.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace stayd {
namespace {

constexpr std::int64_t kTendIntervalUs = 1'000'000;

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

}  // namespace

Worker::Worker(LedgerOptions options, Folder folder, std::unique_ptr<Database> database,
               LedgerInfo info, Waker& waker)
    : options_(std::move(options)),
      waker_(waker),
      folder_(std::move(folder)),
      database_(std::move(database)),
      info_(info),
      headers_(options_.header_cache_bytes),
      batch_(*database_, info_, headers_),
      highest_hlc_(info.highest_hlc),
      syncer_(folder_.database_path(), options_.before_sync, [this] {
        {
          const std::lock_guard lock(mutex_);
          sync_ended_ = true;
        }
        posted_.notify_one();
      }) {
  full_ = database_->in_memory();
  begin_reseal();
  thread_ = std::thread([this] { run(); });
}

Worker::~Worker() {
  stop();
}

void Worker::post(std::vector<Operation>& operations) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    in_flight_ += operations.size();
    if (inbox_.empty()) {
      inbox_.swap(operations);
    } else {
      std::move(operations.begin(), operations.end(), std::back_inserter(inbox_));
    }
    wake = std::exchange(sleeping_, false);
  }
  operations.clear();
  if (wake) posted_.notify_one();
}

std::vector<Report> Worker::take_reports() {
  const std::lock_guard lock(mutex_);
  return std::exchange(outbox_, {});
}

StoreStats Worker::stats() const {
  const std::lock_guard lock(mutex_);
  StoreStats out = stats_;
  out.queued = in_flight_ + held_;
  return out;
}

void Worker::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  posted_.notify_one();
  thread_.join();
  folder_.unlock();
}

std::int64_t Worker::mono_us() const {
  return static_cast<std::int64_t>(database_->env()->NowNanos() / 1000);
}

void Worker::run() {
  tend();
  std::vector<Operation> operations;
  while (wait(operations)) {
    execute(operations);
    operations.clear();
    sync_if_due();
    reseal_if_due();
    tend();
    publish();
  }
  settle_held();
  publish();
  if (unsynced_ && !broken_ && database_->is_open()) {  // in case the flush finds no space
    database_->db()->SyncWAL().PermitUncheckedError();
  }
  database_->close(!broken_);
}

// False: stopping, and everything posted has been taken.
bool Worker::wait(std::vector<Operation>& operations) {
  std::int64_t timeout_us = kTendIntervalUs;
  if (unsynced_ && !broken_ && !syncer_.started()) {
    const std::int64_t due_us = unsynced_since_us_ + options_.sync_interval_ms * 1000;
    timeout_us = std::clamp<std::int64_t>(due_us - mono_us(), 0, timeout_us);
  }
  if (can_reseal()) {
    timeout_us = std::clamp<std::int64_t>(reseal_due_us_ - mono_us(), 0, timeout_us);
  }
  std::unique_lock lock(mutex_);
  const auto awaited = [this] { return !inbox_.empty() || stopping_ || sync_ended_; };
  if (!awaited()) {
    sleeping_ = true;
    posted_.wait_for(lock, std::chrono::microseconds(timeout_us), awaited);
    sleeping_ = false;
  }
  sync_ended_ = false;
  operations.swap(inbox_);
  return !operations.empty() || !stopping_;
}

void Worker::execute(std::vector<Operation>& operations) {
  for (Operation& operation : operations) {
    execute_one(operation);
    ++executed_;
    if (gathered_.size() >= kMaxBatchOperations || batch_.bytes() >= kMaxBatchBytes) {
      commit();
      publish();
    }
  }
  commit();
  publish();
}

void Worker::execute_one(Operation& operation) {
  std::visit(Overloaded{
                 [this](ApplyOne& one) { gather(&one.change, 1, one.durability, one.wall_ms); },
                 [this](ApplyGroup& group) {
                   gather(group.changes.data(), group.changes.size(), group.durability,
                          group.wall_ms);
                 },
                 [this](LoadOne& one) { load(one); },
                 [this](ScanOne& one) { scan(one); },
                 [this](const FlushOne& one) { flush(one); },
                 [this](const SwapOne& one) { swap(one); },
                 [this](FactOne& one) { dirty_facts_[std::move(one.name)] = std::move(one.value); },
                 [this](RekeyOne& one) { rekey(one); },
             },
             operation);
}

std::optional<Error> Worker::unusable() const {
  if (database_->is_open()) return std::nullopt;
  return make_error(Errc::unavailable,
                    "ledger: closed after a disk error; it is reopened when possible");
}

void Worker::gather(Store::Change* changes, std::size_t count, Durability durability,
                    std::int64_t wall_ms) {
  const bool synced = durability == Durability::synced;
  const Gathered gathered{changes, count, wall_ms, reports_.size(), synced};
  for (std::size_t i = 0; i < count; ++i) {
    if (changes[i].token != 0) reports_.push_back(Report{changes[i].token, {}, ApplyResult{}});
  }
  if (!database_->is_open()) recover();
  if (const std::optional<Error> error = unusable()) return refuse(gathered, *error);
  if (full_ && may_grow(gathered)) {
    return refuse(gathered, make_error(Errc::no_space, "ledger: the disk is full: logouts only"));
  }
  if (database_->memory_is_full()) {
    note_error(no_room_at_all());
    return refuse(gathered, no_room_at_all());
  }
  gathered_.push_back(gathered);
  sync_wanted_ |= synced;
  if (!apply_gathered(gathered)) {
    refuse_all(make_error(Errc::io, "ledger: a group of changes could not be read"));
  }
}

// Tombstones and marks are what safety needs, and small: the ballast is theirs.
bool Worker::may_grow(const Gathered& gathered) const {
  return !std::all_of(gathered.changes, gathered.changes + gathered.count, [](const auto& change) {
    return change.mutation.kind == Mutation::Kind::tomb ||
           change.mutation.kind == Mutation::Kind::stale ||
           change.mutation.kind == Mutation::Kind::doubt ||
           change.mutation.kind == Mutation::Kind::placed ||
           change.mutation.kind == Mutation::Kind::forget;
  });
}

bool Worker::apply_gathered(const Gathered& gathered) {
  if (gathered.count > 1) {  // together or not at all: see first whether every row can be read
    for (std::size_t i = 0; i < gathered.count; ++i) {
      const Result<void> readable = batch_.check(gathered.changes[i].mutation);
      if (!readable) {
        refuse(gathered, readable.error());
        return true;
      }
    }
  }
  std::size_t at = gathered.first_report;
  for (std::size_t i = 0; i < gathered.count; ++i) {
    Store::Change& change = gathered.changes[i];
    Result<ApplyResult> result = batch_.apply(change.mutation, gathered.wall_ms);
    if (!result && gathered.count > 1) return false;
    if (!result) {
      refuse(gathered, result.error());
    } else if (change.token != 0) {
      reports_[at++].result = *result;
    }
  }
  return true;
}

void Worker::refuse(const Gathered& gathered, const Error& error) {
  std::size_t at = gathered.first_report;
  for (std::size_t i = 0; i < gathered.count; ++i) {
    if (gathered.changes[i].token != 0) reports_[at++].error = error;
  }
}

void Worker::refuse_all(const Error& error) {
  for (const Gathered& gathered : gathered_) refuse(gathered, error);
  gathered_.clear();
  batch_.clear();
  sync_wanted_ = false;
  note_error(error);
}

void Worker::load(LoadOne& operation) {
  if (batch_.touches(operation.key)) commit();
  Report report{operation.token, {}, Row{}};
  if (const std::optional<Error> error = unusable()) {
    report.error = *error;
  } else if (operation.meta_only) {
    const Rows rows(*database_, info_.spaces);
    Result<StoredRow> found = rows.stored(row_key(info_.spaces, operation.key), false);
    if (found) std::get<Row>(report.result).meta = found->meta;
    if (!found) report.error = found.error();
  } else {
    Result<Row> found = Rows(*database_, info_.spaces).load(operation.key);
    if (found) report.result = std::move(*found);
    if (!found) report.error = found.error();
  }
  if (!report.error.message.empty()) note_error(report.error);
  reports_.push_back(std::move(report));
}

void Worker::scan(ScanOne& operation) {
  commit();
  Report report{operation.token, {}, ScanPage{}};
  if (const std::optional<Error> error = unusable()) {
    report.error = *error;
  } else {
    Result<ScanPage> page = Rows(*database_, info_.spaces).scan(operation.query, operation.wall_ms);
    if (page) report.result = std::move(*page);
    if (!page) report.error = page.error();
  }
  if (!report.error.message.empty()) note_error(report.error);
  reports_.push_back(std::move(report));
}

void Worker::flush(const FlushOne& operation) {
  commit();
  LedgerInfo next = info_;
  next.highest_hlc = std::max(next.highest_hlc, operation.hlc);
  if (const std::optional<Error> error = unusable()) return report_applied(operation.token, *error);
  rocksdb::WriteBatch batch;
  for (int db = 0; db < kDatabases; ++db) {
    if (operation.db >= 0 && operation.db != db) continue;
    if (operation.slots) {
      const Result<void> deleted = delete_slots(operation, db, batch);
      if (!deleted) return report_applied(operation.token, deleted.error());
      continue;
    }
    const std::string from = row_key(info_.spaces, full_key(db, ""));
    const std::string to(1, static_cast<char>(from[0] + 1));
    for (auto* family : {database_->meta(), database_->elements(), database_->tombs()}) {
      batch.DeleteRange(family, from, to).PermitUncheckedError();
    }
  }
  write_now(batch, next, operation.token, "cannot flush a database");
}

// One by one: other slots have rows in between. Elements without a row are dropped by the filter.
Result<void> Worker::delete_slots(const FlushOne& operation, int db, rocksdb::WriteBatch& batch) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(
      database_->db()->NewIterator(options, database_->meta()));
  const std::string prefix = row_key(info_.spaces, full_key(db, ""));
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    const std::string_view key = it->key().ToStringView();
    if (!in_slots(operation.slots, key)) continue;
    const Result<StoredRow> row = decode_row_header(it->value().ToStringView());
    if (row && row->meta.hlc >= operation.hlc) continue;
    for (auto* family : {database_->meta(), database_->tombs()}) {
      batch.Delete(family, it->key()).PermitUncheckedError();
    }
  }
  if (!it->status().ok()) return to_error(it->status(), "cannot flush slots");
  return {};
}

void Worker::swap(const SwapOne& operation) {
  commit();
  if (const std::optional<Error> error = unusable()) return report_applied(operation.token, *error);
  LedgerInfo next = info_;
  std::swap(next.spaces[static_cast<std::size_t>(operation.a)],
            next.spaces[static_cast<std::size_t>(operation.b)]);
  rocksdb::WriteBatch batch;
  write_now(batch, next, operation.token, "cannot swap databases");
}

void Worker::report_applied(StoreToken token, const Error& error) {
  if (!error.message.empty()) note_error(error);
  if (token != 0) reports_.push_back(Report{token, error, ApplyResult{}});
}

void Worker::note_error(const Error& error) {
  const std::lock_guard lock(mutex_);
  stats_.last_error = error.message;
  stats_.last_error_at_ms = options_.wall_ms();
}

void Worker::publish() {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    in_flight_ -= std::exchange(executed_, 0);
    held_ = syncing_reports_.size() + unsynced_reports_.size();
    wake = outbox_.empty() && !reports_.empty();
    if (outbox_.empty()) {
      outbox_.swap(reports_);
    } else {
      std::move(reports_.begin(), reports_.end(), std::back_inserter(outbox_));
    }
  }
  reports_.clear();
  if (wake) waker_.wake();
}

}  // namespace stayd
