#include "core/fleet_shipper.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace stayd {

namespace {
constexpr std::size_t kMaxShipments = 4;
constexpr std::int64_t kAgainMs = 200;       // after a failure
constexpr std::int64_t kTooLargeMs = 5'000;  // somebody may raise the database's limit
constexpr std::int64_t kVerdictMs = 20;
constexpr std::int64_t kSaveUs = 1'000'000;
constexpr const char* kShippedTo = "shipped_to";
}  // namespace

void FleetShipper::start() {
  ++scan_;
  scanning_ = true;
  scan_under_way_ = false;
  scanned_.clear();
  scanned_state_ = RowState::tomb;
}

// --- what is unshipped

void FleetShipper::changed(const FullKey& key, Hlc hlc, std::int64_t put_off_ms) {
  if (!fits_backup(key)) return;
  if (keys_.size() >= c_.options.max_unshipped && !keys_.contains(key)) return start();
  const std::int64_t due_us = c_.in(put_off_ms);
  const auto [at, added] = keys_.try_emplace(key);
  Key& entry = at->second;
  entry.again = entry.under_way;
  const bool touch = put_off_ms > c_.options.ship_after_ms;
  if (added || entry.first == 0 || (entry.touched && !touch)) entry.first = hlc;
  entry.touched = touch && (entry.touched || added);
  if (!added && entry.due_us <= due_us) return;
  entry.due_us = due_us;
  if (!entry.under_way) due_.emplace(due_us, key);
}

void FleetShipper::ship_now(const FullKey& key, std::int64_t wait_ms, Told told, bool logout) {
  const auto [at, added] = keys_.try_emplace(key);
  Key& entry = at->second;
  entry.waiting.push_back({std::move(told), c_.in(wait_ms), logout});
  waited_for_[key] = true;
  if (entry.under_way) {
    entry.again = true;
    return;
  }
  if (!added && entry.due_us <= c_.now.mono_us) return;
  entry.due_us = c_.now.mono_us;
  due_.emplace(entry.due_us, key);
  wanted_ = true;
}

void FleetShipper::submit() {
  if (std::exchange(wanted_, false)) gather();
}

void FleetShipper::look_again(const FullKey& key) {
  const auto at = keys_.find(key);
  if (at == keys_.end()) return look_(key);
  at->second.look = true;
}

Hlc FleetShipper::shipped_to_saved() const {
  Hlc out = 0;
  const std::string text = c_.ledger.fact(kShippedTo);
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

Hlc FleetShipper::shipped_to(bool with_touches) const {
  if (scanning_) return shipped_to_saved();
  Hlc lowest = c_.clock.last() + 1;
  if (!c_.recording.empty()) lowest = std::min(lowest, *c_.recording.begin());
  const Hlc unrecorded = c_.judge == nullptr ? 0 : c_.judge->unrecorded_from();
  if (unrecorded != 0) lowest = std::min(lowest, unrecorded);
  for (const auto& [key, entry] : keys_) {
    const bool counts = entry.first != 0 && (with_touches || !entry.touched);
    if (counts) lowest = std::min(lowest, entry.first);
  }
  return lowest - 1;
}

FleetShipper::Backlog FleetShipper::backlog() const {
  Backlog out;
  for (const auto& [key, entry] : keys_) {
    if (entry.touched) {
      ++out.put_off;
    } else if (entry.first != 0 && (out.oldest == 0 || entry.first < out.oldest)) {
      out.oldest = entry.first;
    }
  }
  return out;
}

void FleetShipper::on_tick() {
  give_up_waiting();
  scan();
  gather();
  if (!scanning_ && c_.now.mono_us - saved_us_ > kSaveUs) {
    saved_us_ = c_.now.mono_us;
    c_.ledger.put_fact(kShippedTo, std::to_string(shipped_to(true)));
  }
}

// Nobody waits for a backup that does not answer.
void FleetShipper::give_up_waiting() {
  std::vector<Told> late;
  std::vector<FullKey> done;
  for (const auto& [key, yes] : waited_for_) {
    const auto at = keys_.find(key);
    if (at != keys_.end()) {
      std::erase_if(at->second.waiting, [&](Waiting& one) {
        if (c_.can_write() && one.until_us > c_.now.mono_us) return false;
        late.push_back(std::move(one.told));
        return true;
      });
    }
    if (at == keys_.end() || at->second.waiting.empty()) done.push_back(key);
  }
  for (const FullKey& key : done) waited_for_.erase(key);
  for (const Told& told : late) told(false);
}

// --- an earlier life's

void FleetShipper::scan() {
  const bool room = keys_.size() + ScanQuery().limit <= c_.options.max_unshipped;
  if (!scanning_ || scan_under_way_ || !room) return;
  scan_under_way_ = true;
  ScanQuery query;
  query.after = scanned_;
  query.state = scanned_state_;
  query.with_expired = true;
  query.newer_than = shipped_to_saved();
  c_.ledger.scan(std::move(query), c_.ledger_ops.token(*this, scan_));
}

void FleetShipper::on_scanned(std::uint64_t tag, const Error& error, ScanPage page) {
  if (tag != scan_) return;
  scan_under_way_ = false;
  if (!error.message.empty()) return;
  for (const ScanEntry& entry : page.entries) {
    if (!is_shipped(entry.meta) && !entry.meta.stale) changed(entry.key, entry.meta.hlc, 0);
    if (tag != scan_) return;  // too many again
  }
  scanned_ = page.next;
  if (!page.done) return;
  scanned_.clear();
  scanning_ = scanned_state_ == RowState::tomb;
  scanned_state_ = RowState::live;
}

// --- shipments

void FleetShipper::gather() {
  if (!c_.status.writable) return;
  while (shipments_.size() < kMaxShipments && !due_.empty() &&
         due_.begin()->first <= c_.now.mono_us) {
    Shipment& shipment = shipments_[++last_shipment_];
    shipment.to_load = 1;  // until all have been asked for
    while (!due_.empty() && due_.begin()->first <= c_.now.mono_us &&
           shipment.keys.size() < c_.options.batch) {
      const auto [due_us, key] = *due_.begin();
      due_.erase(due_.begin());
      const auto at = keys_.find(key);
      if (at == keys_.end() || at->second.under_way || at->second.due_us != due_us) continue;
      at->second.under_way = true;
      at->second.again = false;
      shipment.keys.push_back(key);
    }
    const std::uint64_t number = last_shipment_;
    for (std::size_t i = 0; i < shipment.keys.size(); ++i) {
      ++shipment.to_load;
      c_.ledger.load(shipment.keys[i], c_.ledger_ops.token(*this, number << 16 | i));
    }
    if (--shipment.to_load == 0) send(number);
  }
}

void FleetShipper::on_loaded(std::uint64_t tag, const Error& error, Row row) {
  Shipment& shipment = shipments_.at(tag >> 16);
  const FullKey& key = shipment.keys[tag & 0xffff];
  Key& entry = keys_.at(key);
  entry.row = error.message.empty() ? std::move(row) : Row{};
  if (!error.message.empty()) entry.again = true;
  if (--shipment.to_load == 0) send(tag >> 16);
}

bool FleetShipper::is_shipped(const RowMeta& row) {
  return row.unshipped == Unshipped::nothing && row.base.hlc != 0;
}

bool FleetShipper::is_touch(const Row& row) {
  return row.meta.unshipped == Unshipped::touch && row.meta.base.hlc != 0;
}

BackupWrite FleetShipper::write_of(const FullKey& key, const Row& row) const {
  BackupWrite write;
  write.row = backup_row(key, row);
  if (is_touch(row)) {
    write.kind = BackupWrite::Kind::touch;
    write.row.record.value = {};
  } else if (row.meta.state == RowState::live) {
    write.expected = row.meta.base;
  } else if (row.meta.incarnation == 0 && !row.meta.provisional) {  // it has seen no row
    write.kind = BackupWrite::Kind::bury;
  }
  return write;
}

void FleetShipper::send(std::uint64_t number) {
  Shipment& shipment = shipments_.at(number);
  std::vector<FullKey> keys;
  std::vector<BackupWrite> writes;
  for (FullKey& key : shipment.keys) {
    const Row& row = keys_.at(key).row;
    const RowMeta& meta = row.meta;
    const bool known = meta.state == RowState::tomb ||
                       (meta.state == RowState::live && !meta.stale && row.record.exists());
    if (is_shipped(meta) || !known) {
      done(key);
      continue;
    }
    writes.push_back(write_of(key, row));
    keys.push_back(std::move(key));
  }
  shipment.keys = std::move(keys);
  if (writes.empty()) {
    shipments_.erase(number);
    return;
  }
  c_.backup.write({.writes = std::move(writes)}, c_.backup_ops.token(*this, number),
                  c_.in(c_.options.ship_deadline_ms));
}

void FleetShipper::on_written(std::uint64_t tag, const Error& error,
                              std::vector<BackupWritten> results) {
  const Shipment shipment = std::move(shipments_.extract(tag).mapped());
  const bool too_large = error.code == Errc::limit;
  if (too_large && shipment.keys.size() > 1) return halve(shipment);
  for (std::size_t i = 0; i < shipment.keys.size(); ++i) {
    if (!error.message.empty()) {
      put_off(shipment.keys[i], too_large ? kTooLargeMs : kAgainMs);
    } else {
      on_result(shipment.keys[i], results[i]);
    }
  }
  gather();
}

// One row that the backup does not take keeps no other one back.
void FleetShipper::halve(const Shipment& whole) {
  const auto middle = whole.keys.begin() + static_cast<std::ptrdiff_t>(whole.keys.size() / 2);
  for (const auto& [from, to] :
       {std::pair(whole.keys.begin(), middle), std::pair(middle, whole.keys.end())}) {
    shipments_[++last_shipment_].keys.assign(from, to);
    send(last_shipment_);
  }
}

void FleetShipper::on_result(const FullKey& key, const BackupWritten& result) {
  Row& row = keys_.at(key).row;
  const RowMeta& meta = row.meta;
  if (result.outcome == BackupOutcome::applied) {
    ++c_.counters.backup_shipped;
    row.meta.incarnation = result.incarnation;
    return settle(key, is_touch(row) ? meta.base : meta.version());
  }
  const BackupRow& there = result.current;
  if (!there.unreadable.empty()) return put_off(key, kAgainMs);       // nobody can say what it is
  if (there.state == RowState::absent) return go_on_top(key, there);  // purged, or restored
  c_.clock.witness(there.hlc);
  const RowMeta theirs = meta_of(there);
  // An earlier attempt, of which nobody heard, has brought it there.
  const bool same = theirs.version() == meta.version() && theirs.state == meta.state;
  if (same) row.meta.incarnation = theirs.incarnation;
  if (same) return settle(key, meta.version());
  if (is_touch(row) && theirs.version() == meta.base) return settle(key, meta.base);
  if (keys_.at(key).judged_us == 0) ++c_.counters.backup_conflicts;
  contest(key, there);
}

// The backup has what was sent.
void FleetShipper::settle(const FullKey& key, Version base) {
  Key& entry = keys_.at(key);
  entry.judged_us = 0;
  c_.in_backup(backup_row(key, entry.row.meta, base));
  record(key, shipped_of(key, entry.row.meta, base));
}

// What has become of a key is in the ledger before it is forgotten here.
void FleetShipper::record(const FullKey& key, Mutation mutation) {
  recorded_.emplace(++last_recorded_, key);
  c_.ledger.apply_one(std::move(mutation), c_.ledger_ops.token(*this, last_recorded_),
                      Durability::written);
}

void FleetShipper::on_applied(std::uint64_t tag, const Error& error, const ApplyResult&) {
  const FullKey key = std::move(recorded_.extract(tag).mapped());
  error.message.empty() ? done(key) : put_off(key, kAgainMs);
}

// Another stayd has been there since.
void FleetShipper::contest(const FullKey& key, const BackupRow& there) {
  Key& entry = keys_.at(key);
  if (is_touch(entry.row)) {  // stays on top of what is there
    c_.ledger.apply_one(merge_of(there, false), 0, Durability::written);
    c_.judge->on_foreign(key, meta_of(there));
    return put_off(key, 0);
  }
  const RowMeta theirs = meta_of(there);
  const RowMeta& ours = entry.row.meta;
  // Agreed upon since, and made of ours.
  const bool own = host_of(theirs.origin) == host_of(c_.options.origin);
  if (own && theirs.version() > ours.version()) return take_theirs(key, there);
  // A session of later than what is there: Redis had nothing when it was opened (B2).
  if (ours.incarnation > there.incarnation) return go_on_top(key, there);
  // A logout that a client waits for ends whatever is there.
  const bool logout = ours.state == RowState::tomb;
  const bool awaited = std::ranges::any_of(entry.waiting, &Waiting::logout);
  if (logout && there.state == RowState::live && awaited) return go_on_top(key, there);
  if (logout && there.state == RowState::tomb) return take_theirs(key, there);
  if (entry.judged_us == 0) entry.judged_us = c_.now.mono_us;
  switch (c_.judge->judge(key, ours, theirs, entry.judged_us)) {
    case Verdict::wait:
      return put_off(key, kVerdictMs);
    case Verdict::theirs:
      return take_theirs(key, there);
    case Verdict::ours:
      return go_on_top(key, there);
    case Verdict::read_back:
      // What Redis says comes with a version of its own, and is on top of theirs.
      return ship_again_from(key, theirs);
  }
}

void FleetShipper::ship_again_from(const FullKey& key, const RowMeta& theirs) {
  Key& entry = keys_.at(key);
  RowMeta ours = entry.row.meta;
  ours.incarnation = std::max(ours.incarnation, theirs.incarnation);
  entry.judged_us = 0;
  rebase(key, ours, theirs.version());
  put_off(key, 0);
}

void FleetShipper::take_theirs(const FullKey& key, BackupRow there) {
  Key& entry = keys_.at(key);
  const RowMeta theirs = meta_of(there);
  entry.judged_us = 0;
  if (entry.again) return put_off(key, 0);  // it is not what was judged any more
  record(key, merge_of(std::move(there), true));
  c_.judge->on_foreign(key, theirs);
}

void FleetShipper::go_on_top(const FullKey& key, const BackupRow& there) {
  Key& entry = keys_.at(key);
  RowMeta ours = entry.row.meta;
  // The backup takes no version that is older than what it has in one incarnation.
  const bool both_live = there.state == ours.state && there.incarnation == ours.incarnation;
  if (both_live && meta_of(there).version() > ours.version()) return take_theirs(key, there);
  const bool ended = there.state == RowState::tomb && ours.state == RowState::live;
  ours.incarnation = std::max(ours.incarnation, there.incarnation + (ended ? 1 : 0));
  entry.judged_us = 0;
  rebase(key, ours, there.version());
  put_off(key, 0);
}

// The row is shipped once more, from there.
void FleetShipper::rebase(const FullKey& key, RowMeta ours, Version there) {
  ours.hlc = 0;  // nothing of ours is there yet
  c_.ledger.apply_one(shipped_of(key, ours, there), 0, Durability::written);
}

// It is tried again so much later.
void FleetShipper::put_off(const FullKey& key, std::int64_t ms) {
  Key& entry = keys_.at(key);
  entry.under_way = entry.again = false;
  entry.row = {};
  entry.due_us = c_.in(ms);
  due_.emplace(entry.due_us, key);
}

// Everything that was read is there; who waits for what came later goes on waiting.
void FleetShipper::done(const FullKey& key) {
  Key& entry = keys_.at(key);
  if (entry.again) return put_off(key, entry.waiting.empty() ? c_.options.ship_after_ms : 0);
  const auto waiting = std::move(entry.waiting);
  const bool look = entry.look;
  keys_.erase(key);
  if (look) look_(key);
  for (const Waiting& one : waiting) one.told(true);
}

}  // namespace stayd
