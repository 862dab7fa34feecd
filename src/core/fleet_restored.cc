#include "core/fleet_restored.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

namespace stayd {

namespace {
constexpr const char* kUnderWay = "backup_restored";
constexpr const char* kConfirmed = "backup_entry";
constexpr std::int64_t kAgainMs = 200;
constexpr std::int64_t kSaveMs = 1000;
}  // namespace

void FleetRestored::start() {
  entries_.context = &c_;
  const std::string text = c_.ledger.fact(kConfirmed);
  std::from_chars(text.data(), text.data() + text.size(), entries_.confirmed);
  saved_ = entries_.confirmed;
  const bool unmarked = had_life_without_backup(c_.ledger);
  if (unmarked || c_.ledger.fact(kUnderWay) == "under way") begin();
  if (unmarked) forget_life_without_backup(c_.ledger);  // now that "under way" says it
  looks_first_ = false;                                 // what is found now is another one
}

// --- how it is seen

void FleetRestored::Entries::on_written(std::uint64_t tag, const Error& error,
                                        std::vector<BackupWritten>) {
  if (!error.message.empty() || tag < confirmed) return;
  confirmed = tag;
  confirmed_us = context->now.mono_us;
}

// One that nobody has asked for since it was confirmed says nothing; nor one that is missing after
// so long that it is not shown any more.
bool FleetRestored::has_gone_back(const std::vector<FleetHostSeen>& hosts, std::int64_t read_us) {
  if (entries_.confirmed == 0 || read_us <= entries_.confirmed_us) return false;
  const auto is_own = [this](const FleetHostSeen& host) {
    return host.entry.instance == host_of(c_.options.origin);
  };
  const auto own = std::ranges::find_if(hosts, is_own);
  const std::int64_t age_ms = c_.now.wall_ms - hlc_wall_ms(entries_.confirmed);
  return own == hosts.end() ? age_ms < kHostSeenMs / 2 : own->entry.hlc < entries_.confirmed;
}

// --- what is done about it

void FleetRestored::begin() {
  c_.ledger.put_fact(kUnderWay, "under way");
  ++generation_;
  entries_.confirmed = 0;  // the next one counts again
  under_way_ = looks_first_ = true;
  sample_.look();
  busy_ = false;
  not_before_us_ = 0;
  state_ = RowState::tomb;
  page_ = {};
  writes_.clear();
  metas_.clear();
}

void FleetRestored::on_tick() {
  if (hlc_wall_ms(entries_.confirmed) - hlc_wall_ms(saved_) >= kSaveMs) {
    saved_ = entries_.confirmed;
    c_.ledger.put_fact(kConfirmed, std::to_string(saved_));
  }
  const bool due = under_way_ && !busy_ && c_.now.mono_us >= not_before_us_;
  if (!due || !c_.can_write() || sample_.looking()) return;
  looks_first_ = false;
  writes_.empty() ? scan() : write();
}

void FleetRestored::scan() {
  busy_ = true;
  ScanQuery query;
  query.after = page_.next;
  query.state = state_;
  c_.ledger.scan(std::move(query), c_.ledger_ops.token(*this, generation_));
}

void FleetRestored::on_scanned(std::uint64_t tag, const Error& error, ScanPage page) {
  if (tag != generation_) return;
  if (!error.message.empty()) {
    busy_ = false;
    not_before_us_ = c_.in(kAgainMs);
    return;
  }
  page_ = std::move(page);
  to_load_ = 1;
  for (std::size_t i = 0; i < page_.entries.size(); ++i) {
    const RowMeta& meta = page_.entries[i].meta;
    // The rest is the shipper's; of a touch it ships no more than that.
    if (meta.stale || meta.unshipped > Unshipped::touch || meta.base.hlc == 0) continue;
    ++to_load_;
    c_.ledger.load(page_.entries[i].key, c_.ledger_ops.token(*this, generation_ << 20 | i));
  }
  if (--to_load_ == 0) page_done();
}

// What cannot be read is not written.
void FleetRestored::on_loaded(std::uint64_t tag, const Error& error, Row row) {
  if (tag >> 20 != generation_) return;
  const bool live = row.meta.state == RowState::live && !row.meta.stale && row.record.exists();
  if (error.message.empty() && (live || row.meta.state == RowState::tomb)) {
    writes_.push_back({.row = backup_row(page_.entries[tag & 0xfffff].key, row), .expected = {}});
    metas_.push_back(row.meta);
  }
  if (--to_load_ == 0) page_done();
}

void FleetRestored::page_done() {
  busy_ = false;
  chunk_ = writes_.size();
  if (!writes_.empty() || !page_.done) return;
  page_.next.clear();
  page_.done = false;
  if (std::exchange(state_, RowState::live) == RowState::tomb) return;
  under_way_ = false;
  c_.ledger.put_fact(kUnderWay, "");
}

void FleetRestored::write() {
  busy_ = true;
  const auto end = writes_.begin() + static_cast<std::ptrdiff_t>(std::min(chunk_, writes_.size()));
  c_.backup.write({.writes = {writes_.begin(), end}}, c_.backup_ops.token(*this, generation_),
                  c_.in(c_.options.ship_deadline_ms));
}

// What is newer there comes by the feed. What is too large, all alone, was never there.
void FleetRestored::on_written(std::uint64_t tag, const Error& error,
                               std::vector<BackupWritten> results) {
  if (tag != generation_) return;
  busy_ = false;
  const bool too_large = error.code == Errc::limit && !error.message.empty();
  if (too_large && chunk_ > 1) {
    chunk_ /= 2;
    return;
  }
  if (!error.message.empty() && !too_large) {
    not_before_us_ = c_.in(kAgainMs);
    return;
  }
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].outcome != BackupOutcome::applied) continue;
    ++c_.counters.backup_shipped;
    const RowMeta& meta = metas_[i];
    c_.ledger.apply_one(shipped_of(writes_[i].row.key, meta, meta.version()), 0,
                        Durability::written);
  }
  const auto count = static_cast<std::ptrdiff_t>(std::min(chunk_, writes_.size()));
  writes_.erase(writes_.begin(), writes_.begin() + count);
  metas_.erase(metas_.begin(), metas_.begin() + count);
  if (writes_.empty()) page_done();
}

}  // namespace stayd
