#include "core/fleet_reads.h"

#include <algorithm>
#include <utility>

#include "session/apply.h"

namespace stayd {

namespace {

// The backup keeps one tombstone for an incarnation.
bool both_buried(const RowMeta& a, const RowMeta& b) {
  return a.state == RowState::tomb && b.state == RowState::tomb && a.incarnation == b.incarnation;
}

}  // namespace

void FleetReads::load(const FullKey& key, Told told) {
  const auto [at, added] = reads_.try_emplace(key);
  Read& read = at->second;
  (read.begun ? read.next : read.told).push_back(std::move(told));
  if (!added) return;
  if (!c_.can_read() || !fits_backup(key)) return begin(key, false);
  if (!shipper_.knows(key) || shipper_.contested(key)) return begin(key, true);
  ship(key);
}

void FleetReads::ship(const FullKey& key) {
  shipper_.ship_now(key, c_.options.deadline_ms, [this, key](bool) { begin(key, c_.can_read()); });
}

void FleetReads::begin(const FullKey& key, bool ask) {
  Read& read = reads_.at(key);
  read.begun = true;
  read.loaded = false;
  read.known = shipper_.knows(key);
  read.number = ++last_;
  read.alone = read.asked = !ask;
  loads_.emplace(read.number, key);
  c_.ledger.load(key, c_.ledger_ops.token(*this, read.number));
  if (ask) to_ask_.push_back(key);
}

void FleetReads::submit() {
  while (!to_ask_.empty()) {
    const auto count = std::min(to_ask_.size(), kMaxBackupBatch);
    std::vector<FullKey> keys(to_ask_.end() - static_cast<std::ptrdiff_t>(count), to_ask_.end());
    to_ask_.resize(to_ask_.size() - count);
    ask({std::move(keys), c_.in(c_.options.deadline_ms)});
  }
}

void FleetReads::ask(Asked asked) {
  const std::int64_t deadline_us = asked.deadline_us;
  std::vector<FullKey> keys = asked.keys;
  asked_.emplace(++last_, std::move(asked));
  c_.backup.read(std::move(keys), c_.backup_ops.token(*this, last_), deadline_us);
}

void FleetReads::on_loaded(std::uint64_t tag, const Error& error, Row row) {
  const FullKey key = std::move(loads_.extract(tag).mapped());
  Read& read = reads_.at(key);
  read.loaded = true;
  read.error = error;
  read.row = std::move(row);
  if (read.asked) join(key);
}

void FleetReads::on_read(std::uint64_t tag, const Error& error, std::vector<BackupRow> rows) {
  const Asked asked = std::move(asked_.extract(tag).mapped());
  const std::vector<FullKey>& keys = asked.keys;
  if (error.code == Errc::limit && keys.size() > 1) {  // too much at once
    const auto middle = keys.begin() + static_cast<std::ptrdiff_t>(keys.size() / 2);
    ask({{keys.begin(), middle}, asked.deadline_us});
    return ask({{middle, keys.end()}, asked.deadline_us});
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    Read& read = reads_.at(keys[i]);
    read.asked = true;
    read.alone = !error.message.empty() || !rows[i].unreadable.empty();
    if (!read.alone) read.there = std::move(rows[i]);
    if (read.loaded) join(keys[i]);
  }
}

// Of an earlier life, which the shipper has not come across yet.
bool FleetReads::ship_what_was_found(const FullKey& key, Read& read) {
  const RowMeta& row = read.row.meta;
  const bool found =
      row.unshipped > Unshipped::touch && !row.stale && row.origin != c_.options.origin;
  if (!found || read.alone || read.shipped || shipper_.contested(key)) return false;
  read.shipped = true;
  if (!shipper_.knows(key)) shipper_.changed(key, row.hlc, 0);
  ship(key);
  return true;
}

// The ledger has changed since it was asked, and the row is from before: a logout that was held in
// memory has been written.
bool FleetReads::read_again(const FullKey& key, Read& read) {
  if (read.known || read.again || !shipper_.knows(key)) return false;
  read.again = true;
  read.alone ? begin(key, false) : ship(key);
  return true;
}

void FleetReads::join(const FullKey& key) {
  if (read_again(key, reads_.at(key)) || ship_what_was_found(key, reads_.at(key))) return;
  Read read = std::move(reads_.at(key));
  reads_.erase(key);
  ++c_.counters.backup_reads;
  if (read.alone) ++c_.counters.backup_reads_alone;
  // The ledger cannot be read: the backup has it all.
  const bool backup_knows = !read.alone && !shipper_.knows(key);
  if (!read.error.message.empty() && backup_knows) read.error = {};
  const Version there = read.there.version();
  if (read.there.state != RowState::absent && read.error.message.empty()) {
    c_.clock.witness(read.there.hlc);
    const Mutation merge = merge_of(std::move(read.there), false);
    if (apply(merge, read.row, c_.now.wall_ms) == ApplyOutcome::applied) {
      c_.judge->on_foreign(key, read.row.meta);
      c_.ledger.apply_one(merge, 0, Durability::written);
    } else if (there == read.row.meta.version()) {  // it came there, and the ledger was not told
      read.row.meta.incarnation = merge.merged->incarnation;
    } else if (is_newer(*merge.merged, read.row.meta) ||
               both_buried(*merge.merged, read.row.meta)) {  // and ours is being judged
      Row theirs;
      apply(merge, theirs, c_.now.wall_ms);
      read.row = std::move(theirs);
    }
  }
  if (!read.alone) read.row.meta.base = there;  // what is made of the row replaces that
  for (Told& told : read.next) load(key, std::move(told));
  for (std::size_t i = 0; i < read.told.size(); ++i) {
    const bool last = i + 1 == read.told.size();
    read.told[i](read.error, last ? std::move(read.row) : read.row, read.alone);
  }
}

}  // namespace stayd
