#include "core/fleet_agreement.h"

#include <algorithm>
#include <ranges>
#include <utility>

#include "session/apply.h"

namespace stayd {

namespace {

// What no change has changed is left out, it would count as refused; so would a second tombstone on
// the backup's own.
bool is_there_already(const RowMeta& now, const RowMeta& before) {
  return now.state == RowState::tomb && before.state == RowState::tomb &&
         now.incarnation == before.incarnation && before.base != Version{} &&
         before.unshipped == Unshipped::nothing;
}

}  // namespace

void FleetAgreement::decide(std::vector<Store::Change> changes, Store::RowsRead read,
                            Durability durability, Answer answer) {
  Change& one = under_way_[++last_];
  one.changes = std::move(changes);
  one.durability = durability;
  one.answer = std::move(answer);
  for (const Store::Change& change : one.changes) c_.recording.insert(change.mutation.hlc);
  for (auto& [key, row] : read) {
    one.keys.push_back(std::move(key));
    one.rows.push_back(std::move(row));
  }
  c_.can_write() ? write(last_) : finish_alone(last_);
}

// Nothing was to be decided.
void FleetAgreement::on_loaded(std::uint64_t tag, const Error&, Row) {
  finish(tag >> 20);
}

void FleetAgreement::write(std::uint64_t number) {
  Change& one = under_way_.at(number);
  const FullKey first = one.keys.front();
  run(one);
  if (one.keys.empty()) {  // told later, as everything is
    return c_.ledger.load_meta(first, c_.ledger_ops.token(*this, number << 20));
  }
  send(number);
}

void FleetAgreement::send(std::uint64_t number) {
  const Change& one = under_way_.at(number);
  if (one.keys.empty()) return finish(number);
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

void FleetAgreement::run(Change& one) const {
  std::vector<bool> changed(one.keys.size());
  std::vector<RowMeta> before;
  for (const Row& row : one.rows) before.push_back(row.meta);
  for (const Store::Change& change : one.changes) {
    const auto at = static_cast<std::size_t>(std::ranges::find(one.keys, change.mutation.key) -
                                             one.keys.begin());
    ApplyResult& result = one.results.emplace_back();
    result.before = one.rows[at].meta;
    result.outcome = apply(change.mutation, one.rows[at], c_.now.wall_ms);
    if (result.outcome == ApplyOutcome::applied) changed[at] = true;
  }
  const std::vector<FullKey> keys = std::exchange(one.keys, {});
  const std::vector<Row> rows = std::exchange(one.rows, {});
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!changed[i] || is_there_already(rows[i].meta, before[i])) continue;
    one.keys.push_back(keys[i]);
    one.rows.push_back(rows[i]);
    one.bases.push_back(before[i].base);
    one.read.push_back(before[i].version());
  }
}

// Tombstones that the backup has had of their incarnation already: of what the ledger could not
// take, it was not known. True: nothing else was in the way.
bool FleetAgreement::drop_what_is_buried(Change& one, const std::vector<BackupWritten>& results) {
  std::vector<std::size_t> buried;
  std::size_t refused = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].outcome == BackupOutcome::applied) continue;
    ++refused;
    const BackupRow& there = results[i].current;
    const bool same = there.state == RowState::tomb && one.rows[i].meta.state == RowState::tomb &&
                      there.incarnation == one.rows[i].meta.incarnation;
    if (same && there.version() == one.bases[i]) buried.push_back(i);
  }
  if (buried.size() != refused) return false;
  for (const std::size_t i : buried | std::views::reverse) one.drop(i);
  return true;
}

void FleetAgreement::on_written(std::uint64_t tag, const Error& error,
                                std::vector<BackupWritten> results) {
  if (!error.message.empty()) return finish_alone(tag);
  Change& one = under_way_.at(tag);
  const auto applied = [](const BackupWritten& r) { return r.outcome == BackupOutcome::applied; };
  if (std::ranges::all_of(results, applied)) return take(tag);
  if (drop_what_is_buried(one, results)) return send(tag);
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (applied(results[i])) continue;
    const FullKey& key = one.keys[i];
    if (results[i].current.state == RowState::absent) {  // purged, or restored
      RowMeta nothing;
      nothing.base = one.bases[i];
      c_.ledger.apply_one(shipped_of(key, nothing, {}), 0, Durability::written);
      continue;
    }
    c_.clock.witness(results[i].current.hlc);
    if (!results[i].current.unreadable.empty()) continue;  // the next exact read is alone
    const RowMeta theirs = meta_of(results[i].current);
    c_.ledger.apply_one(merge_of(std::move(results[i].current), false), 0, Durability::written);
    c_.judge->on_foreign(key, theirs);
  }
  end(tag).answer.outpaced();
}

// The rows as the backup has got them, not the changes once more: the feed may have brought a later
// row meanwhile, of which they know nothing.
void FleetAgreement::take(std::uint64_t number) {
  Change& one = under_way_.at(number);
  one.left = one.keys.size();
  for (std::size_t i = 0; i < one.keys.size(); ++i) {
    const RowMeta& meta = one.rows[i].meta;
    c_.in_backup(backup_row(one.keys[i], meta, meta.version()));
    Mutation shipped = shipped_of(one.keys[i], meta, meta.version());
    Mutation row;
    row.kind = Mutation::Kind::merge;
    row.key = one.keys[i];
    row.record = std::move(one.rows[i].record);
    row.merged = shipped.merged;
    row.base = one.read[i];
    c_.ledger.apply_one(std::move(row), c_.ledger_ops.token(*this, number << 20 | i),
                        one.durability);
    // What has been put on top of it meanwhile is made from it.
    c_.ledger.apply_one(std::move(shipped), 0, Durability::written);
  }
}

void FleetAgreement::on_applied(std::uint64_t tag, const Error& error, const ApplyResult&) {
  const std::uint64_t number = tag >> 20;
  Change& one = under_way_.at(number);
  if (!error.message.empty()) one.error = error;
  if (--one.left == 0) finish(number);
}

FleetAgreement::Change FleetAgreement::end(std::uint64_t number) {
  Change one = std::move(under_way_.extract(number).mapped());
  for (const Store::Change& change : one.changes) c_.recording.extract(change.mutation.hlc);
  return one;
}

void FleetAgreement::finish(std::uint64_t number) {
  const Change done = end(number);
  done.answer.agreed(done.error, done.results);
}

void FleetAgreement::finish_alone(std::uint64_t number) {
  Change one = end(number);
  Hlc first = c_.clock.last();
  for (const Store::Change& change : one.changes) first = std::min(first, change.mutation.hlc);
  one.answer.record(std::move(one.changes));
  for (const FullKey& key : one.keys) shipper_.changed(key, first, 0);
}

}  // namespace stayd
