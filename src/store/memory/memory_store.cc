#include "store/memory/memory_store.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "session/apply.h"

namespace stayd {
namespace {

constexpr std::size_t kMaxPage = 4'096;

bool tomb_over(const RowMeta& meta, std::int64_t wall_ms) {
  return meta.state == RowState::tomb && meta.tomb_until_ms != 0 && meta.tomb_until_ms < wall_ms;
}

}  // namespace

void MemoryStore::apply(std::vector<Change> changes, Durability durability) {
  gather([this, durability, wall_ms = wall_ms_(), changes = std::move(changes)]() mutable {
    const bool synced = durability == Durability::synced;
    auto& reports = synced && late_syncs ? held_ : reports_;
    for (Change& change : changes) {
      Report report = apply_now(change.mutation, change.token, wall_ms);
      if (report.token != 0) reports.push_back(std::move(report));
    }
    if (synced && !late_syncs) sync();
  });
}

void MemoryStore::apply_one(Mutation mutation, StoreToken token, Durability durability) {
  std::vector<Change> changes;
  changes.push_back({std::move(mutation), token});
  apply(std::move(changes), durability);
}

MemoryStore::Report MemoryStore::apply_now(Mutation& mutation, StoreToken token,
                                           std::int64_t wall_ms) {
  const FullKey key = mutation.key;
  const Hlc hlc = mutation.row_hlc();
  forget_over(key, wall_ms);
  const auto found = rows_.find(key);
  const bool existed = found != rows_.end();
  Row row = existed ? found->second : Row{};
  ApplyResult result;
  result.before = row.meta;
  result.outcome = stayd::apply(std::move(mutation), row, wall_ms);
  if (result.outcome == ApplyOutcome::applied) {
    undo_.push_back({key, existed ? std::optional(found->second) : std::nullopt, written_facts_});
    highest_hlc_ = std::max(highest_hlc_, hlc);
    if (row.meta == RowMeta{}) {
      rows_.erase(key);
    } else {
      rows_.insert_or_assign(key, std::move(row));
    }
  }
  ++stats_.applied_total;
  return {token, result};
}

// As the ledger's compaction does, and at once: nothing may depend on when.
void MemoryStore::forget_over(const FullKey& key, std::int64_t wall_ms) {
  const auto found = rows_.find(key);
  if (found != rows_.end() && tomb_over(found->second.meta, wall_ms)) rows_.erase(found);
}

Row MemoryStore::row(const FullKey& key) const {
  const auto found = rows_.find(key);
  return found == rows_.end() ? Row{} : found->second;
}

void MemoryStore::load(FullKey key, StoreToken token) {
  gather([this, key = std::move(key), token, wall_ms = wall_ms_()] {
    forget_over(key, wall_ms);
    reports_.push_back({token, row(key)});
  });
}

void MemoryStore::load_meta(FullKey key, StoreToken token) {
  gather([this, key = std::move(key), token, wall_ms = wall_ms_()] {
    forget_over(key, wall_ms);
    Row found;
    found.meta = row(key).meta;
    reports_.push_back({token, std::move(found)});
  });
}

void MemoryStore::scan(ScanQuery query, StoreToken token) {
  gather([this, query = std::move(query), token, wall_ms = wall_ms_()] {
    reports_.push_back({token, scan_now(query, wall_ms)});
  });
}

ScanPage MemoryStore::scan_now(const ScanQuery& query, std::int64_t wall_ms) const {
  ScanPage page;
  page.next = query.after;
  const std::size_t limit = std::clamp<std::size_t>(query.limit, 1, kMaxPage);
  for (auto it = rows_.upper_bound(query.after); it != rows_.end(); ++it) {
    const auto& [key, row] = *it;
    if (query.db >= 0 && db_of(key) != query.db) continue;
    if (tomb_over(row.meta, wall_ms)) continue;
    const bool wanted = query.state == RowState::tomb ? row.meta.state == RowState::tomb
                        : query.with_expired          ? row.meta.state == RowState::live
                                                      : row.meta.live_at(wall_ms);
    if (!wanted || row.meta.hlc <= query.newer_than || !in_slots(query.slots, key)) continue;
    if (page.entries.size() >= limit) return page;
    page.next = key;
    page.entries.push_back({key, row.meta});
  }
  page.done = true;
  return page;
}

void MemoryStore::flush(int db, Hlc hlc, std::shared_ptr<const SlotSet> slots, StoreToken token) {
  gather([this, db, hlc, slots = std::move(slots), token] {
    std::erase_if(rows_, [db, hlc, &slots](const auto& entry) {
      return (db < 0 || db_of(entry.first) == db) && entry.second.meta.hlc < hlc &&
             in_slots(slots, entry.first);
    });
    highest_hlc_ = std::max(highest_hlc_, hlc);
    sync();
    if (token != 0) reports_.push_back({token, ApplyResult{}});
  });
}

void MemoryStore::swap_databases(int a, int b, StoreToken token) {
  gather([this, a, b, token] {
    std::map<FullKey, Row> swapped;
    for (auto& [key, row] : rows_) {
      const int db = db_of(key);
      const int target = db == a ? b : db == b ? a : db;
      swapped.emplace(full_key(target, key_of(key)), std::move(row));
    }
    rows_ = std::move(swapped);
    sync();
    if (token != 0) reports_.push_back({token, ApplyResult{}});
  });
}

void MemoryStore::put_fact(std::string name, std::string value) {
  facts_[name] = value;
  gather([this, name = std::move(name), value = std::move(value)] {
    auto facts = std::make_shared<Facts>(*written_facts_);
    (*facts)[name] = value;
    written_facts_ = std::move(facts);
  });
}

std::string MemoryStore::fact(std::string_view name) const {
  const auto found = facts_.find(name);
  return found == facts_.end() ? std::string() : found->second;
}

void MemoryStore::submit() {
  if (gathered_.empty()) return;
  for (const auto& operation : std::exchange(gathered_, {})) operation();
  ++stats_.batches_total;
}

bool MemoryStore::deliver_one() {
  if (reports_.empty()) return false;
  Report report = std::move(reports_.front());
  reports_.pop_front();
  if (auto* found = std::get_if<Row>(&report.result)) {
    events_->on_loaded(report.token, {}, std::move(*found));
  } else if (auto* page = std::get_if<ScanPage>(&report.result)) {
    events_->on_scanned(report.token, {}, std::move(*page));
  } else {
    events_->on_applied(report.token, {}, std::get<ApplyResult>(report.result));
  }
  return true;
}

void MemoryStore::deliver() {
  for (std::size_t left = reports_.size(); left > 0; --left) deliver_one();
}

void MemoryStore::sync() {
  start_sync();
  end_sync();
}

void MemoryStore::start_sync() {
  sync_started_ = true;
  run_ = {undo_.size(), held_.size(), highest_hlc_, written_facts_};
}

void MemoryStore::end_sync(bool lie) {
  if (!std::exchange(sync_started_, false)) return;
  if (!lie) {
    undo_.erase(undo_.begin(), undo_.begin() + static_cast<std::ptrdiff_t>(run_.undo));
    synced_highest_hlc_ = run_.highest_hlc;
    synced_facts_ = std::move(run_.facts);
  }
  const auto end = held_.begin() + static_cast<std::ptrdiff_t>(run_.held);
  std::move(held_.begin(), end, std::back_inserter(reports_));
  held_.erase(held_.begin(), end);
  run_ = {};
}

void MemoryStore::crash(std::size_t done) {
  for (std::size_t i = 0; i < std::min(done, gathered_.size()); ++i) gathered_[i]();
  gathered_.clear();
  reports_.clear();
  held_.clear();
  sync_started_ = false;
  facts_ = *written_facts_;
  in_flight_.reopen();
}

std::vector<FullKey> MemoryStore::lose_power(std::size_t kept) {
  std::vector<FullKey> lost;
  if (kept == 0) {
    written_facts_ = synced_facts_;
  } else if (kept < undo_.size()) {
    written_facts_ = undo_[kept].facts;
  }
  std::fill(in_flight_memory_.begin(), in_flight_memory_.end(), std::byte{});
  crash();
  while (undo_.size() > kept) {
    Undo& undo = undo_.back();
    lost.push_back(undo.key);
    if (undo.before) {
      rows_.insert_or_assign(undo.key, std::move(*undo.before));
    } else {
      rows_.erase(undo.key);
    }
    undo_.pop_back();
  }
  undo_.clear();
  highest_hlc_ = synced_highest_hlc_;
  for (const auto& [key, row] : rows_) highest_hlc_ = std::max(highest_hlc_, row.meta.hlc);
  synced_highest_hlc_ = highest_hlc_;
  return lost;
}

StoreStats MemoryStore::stats() const {
  StoreStats out = stats_;
  out.rows_estimate = rows_.size();
  out.queued = gathered_.size() + reports_.size() + held_.size();
  return out;
}

}  // namespace stayd
