#include "core/fleet_agreement.h"

#include <algorithm>
#include <utility>

#include "session/apply.h"

namespace stayd {

void FleetAgreement::decide(std::vector<Store::Change> changes, Record record,
                            std::function<void()> outpaced) {
  Change& one = under_way_[++last_];
  one.changes = std::move(changes);
  one.record = std::move(record);
  one.outpaced = std::move(outpaced);
  for (const Store::Change& change : one.changes) {
    const FullKey& key = change.mutation.key;
    if (std::ranges::find(one.keys, key) == one.keys.end()) one.keys.push_back(key);
  }
  one.rows.resize(one.keys.size());
  one.to_load = one.keys.size();
  if (!c_.status.writable) return finish(last_, false);
  for (std::size_t i = 0; i < one.keys.size(); ++i) {
    c_.ledger.load(one.keys[i], c_.ledger_ops.token(*this, last_ << 20 | i));
  }
}

void FleetAgreement::on_loaded(std::uint64_t tag, const Error& error, Row row) {
  const std::uint64_t number = tag >> 20;
  Change& one = under_way_.at(number);
  one.failed = one.failed || !error.message.empty();
  one.rows[tag & 0xfffff] = std::move(row);
  if (--one.to_load == 0) write(number);
}

void FleetAgreement::write(std::uint64_t number) {
  Change& one = under_way_.at(number);
  if (one.failed) return finish(number, false);
  for (const Row& row : one.rows) one.bases.push_back(row.meta.base);
  for (const Store::Change& change : one.changes) {
    const auto at = std::ranges::find(one.keys, change.mutation.key) - one.keys.begin();
    apply(change.mutation, one.rows[static_cast<std::size_t>(at)], c_.now.wall_ms);
  }
  BackupBatch batch{.together = true};
  for (std::size_t i = 0; i < one.keys.size(); ++i) {
    BackupWrite write;
    write.row = backup_row(one.keys[i], one.rows[i]);
    write.expected = one.bases[i];
    batch.writes.push_back(std::move(write));
  }
  c_.backup.write(std::move(batch), c_.backup_ops.token(*this, number),
                  c_.in(c_.options.deadline_ms));
}

void FleetAgreement::on_written(std::uint64_t tag, const Error& error,
                                std::vector<BackupWritten> results) {
  if (!error.message.empty()) return finish(tag, false);
  Change& one = under_way_.at(tag);
  const auto applied = [](const BackupWritten& r) { return r.outcome == BackupOutcome::applied; };
  if (std::ranges::all_of(results, applied)) return finish(tag, true);
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (applied(results[i]) || results[i].current.state == RowState::absent) continue;
    c_.clock.witness(results[i].current.hlc);
    const RowMeta theirs = meta_of(results[i].current);
    const bool through_redis = results[i].current.through_redis;
    c_.ledger.apply_one(merge_of(std::move(results[i].current), false), 0, Durability::written);
    c_.judge->on_foreign(one.keys[i], theirs, through_redis);
  }
  const auto outpaced = std::move(one.outpaced);
  under_way_.erase(tag);
  outpaced();
}

void FleetAgreement::finish(std::uint64_t number, bool shipped) {
  Change one = std::move(under_way_.extract(number).mapped());
  one.record(std::move(one.changes));
  for (std::size_t i = 0; i < one.keys.size(); ++i) {
    const RowMeta& row = one.rows[i].meta;
    if (!shipped) {
      shipper_.changed(one.keys[i], row.hlc, 0, false);
    } else {
      c_.ledger.apply_one(shipped_of(one.keys[i], row, row.version()), 0, Durability::written);
    }
  }
}

}  // namespace stayd
