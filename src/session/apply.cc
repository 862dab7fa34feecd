#include "session/apply.h"

#include <algorithm>
#include <utility>

namespace stayd {
namespace {

void end_row(Row& row, std::int64_t tomb_until_ms) {
  row.record = {};
  row.meta.state = RowState::tomb;
  row.meta.type = ValueType::none;
  row.meta.expires_at_ms = 0;
  row.meta.tomb_until_ms = tomb_until_ms;
  row.meta.stale = false;
}

// The row is live with `record` from now on.
void live_row(Row& row, Record record, bool begins, std::int64_t wall_ms) {
  if (begins) {
    ++row.meta.incarnation;
    row.meta.created_at_ms = wall_ms;
  }
  row.record = std::move(record);
  row.meta.state = RowState::live;
  row.meta.type = row.record.type();
  row.meta.expires_at_ms = row.record.expires_at_ms;
  row.meta.stale = false;
}

void note_unshipped(RowMeta& row, const Mutation& mutation, std::int64_t expired_at_ms,
                    bool begins) {
  using Kind = Mutation::Kind;
  // Of this host's Redis alone: the others have nothing to hear of.
  if (mutation.kind == Kind::stale || mutation.kind == Kind::doubt ||
      mutation.kind == Kind::placed) {
    return;
  }
  Unshipped what = Unshipped::part;
  const bool put_off = later_expiry(expired_at_ms, row.expires_at_ms) == row.expires_at_ms;
  if (mutation.kind == Kind::expiry && put_off) what = Unshipped::touch;
  const bool whole = mutation.kind == Kind::put || mutation.kind == Kind::value ||
                     (mutation.kind == Kind::elements && begins);
  if (whole && mutation.from_client) what = Unshipped::whole;
  row.unshipped = std::max(row.unshipped, what);
}

void stamp(Row& row, const Mutation& mutation, bool begins) {
  if (!mutation.unconfirmed || row.meta.hlc == 0) row.meta.mark = mutation.mark;
  row.meta.hlc = mutation.hlc;
  row.meta.origin = mutation.origin;
  row.meta.through_redis = mutation.through_redis;
  row.meta.adopted = mutation.only_if_unknown;
  row.meta.provisional =
      mutation.provisional ||
      (!begins && row.meta.provisional && mutation.kind != Mutation::Kind::put &&
       mutation.kind != Mutation::Kind::tomb && mutation.kind != Mutation::Kind::placed);
}

void change_element(HashValue& hash, ElementChange& change) {
  if (change.removed) {
    hash.erase(change.name);
  } else {
    hash.insert_or_assign(std::move(change.name), std::move(change.value));
  }
}

void change_element(SetValue& set, ElementChange& change) {
  if (change.removed) {
    set.erase(change.name);
  } else {
    set.insert(std::move(change.name));
  }
}

void change_element(SortedSetValue& zset, ElementChange& change) {
  if (change.removed) {
    zset.erase(change.name);
  } else {
    zset.set(change.name, change.score);
  }
}

// False: none is left.
template <class T>
bool change_elements(Record& record, std::vector<ElementChange>& changes) {
  if (!record.exists()) record.value.emplace<T>();
  T& value = std::get<T>(record.value);
  for (ElementChange& change : changes) change_element(value, change);
  return !value.empty();
}

ApplyOutcome apply_value(Mutation& mutation, Row& row, bool ended, std::int64_t wall_ms) {
  mutation.record.expires_at_ms = ended ? 0 : row.meta.expires_at_ms;
  live_row(row, std::move(mutation.record), ended, wall_ms);
  return ApplyOutcome::applied;
}

ApplyOutcome apply_elements(Mutation& mutation, Row& row, bool ended, std::int64_t wall_ms) {
  if (!ended && row.meta.type != mutation.type) return ApplyOutcome::base_unknown;
  if (ended) {
    const bool removes = std::any_of(mutation.elements.begin(), mutation.elements.end(),
                                     [](const ElementChange& change) { return change.removed; });
    if (removes) return ApplyOutcome::base_unknown;
    live_row(row, {}, true, wall_ms);
  }
  bool left = false;
  switch (mutation.type) {
    case ValueType::hash:
      left = change_elements<HashValue>(row.record, mutation.elements);
      break;
    case ValueType::set:
      left = change_elements<SetValue>(row.record, mutation.elements);
      break;
    case ValueType::zset:
      left = change_elements<SortedSetValue>(row.record, mutation.elements);
      break;
    default:
      break;
  }
  row.meta.type = row.record.type();
  if (!left) end_row(row, mutation.tomb_until_ms);
  return ApplyOutcome::applied;
}

ApplyOutcome apply_stale(Row& row) {
  // A row of its own even where there was none: the key must not pass for one that was never seen.
  if (row.meta.state == RowState::absent) {
    row.meta.state = RowState::live;
    row.meta.incarnation = 1;
  }
  row.meta.stale = true;
  return ApplyOutcome::applied;
}

ApplyOutcome change_row(Mutation& mutation, Row& row, bool ended, std::int64_t wall_ms) {
  using Kind = Mutation::Kind;
  const bool builds_on_row = mutation.kind == Kind::value || mutation.kind == Kind::elements ||
                             mutation.kind == Kind::expiry;
  if (builds_on_row && (row.meta.state == RowState::absent || row.meta.stale)) {
    return ApplyOutcome::base_unknown;
  }
  switch (mutation.kind) {
    case Kind::put:
      if (mutation.record.exists()) {
        live_row(row, std::move(mutation.record), ended || mutation.creates, wall_ms);
      } else {
        end_row(row, mutation.tomb_until_ms);
      }
      break;
    case Kind::value:
      return apply_value(mutation, row, ended, wall_ms);
    case Kind::elements:
      return apply_elements(mutation, row, ended, wall_ms);
    case Kind::expiry:
      if (ended) {  // it may have been there when it was touched; it is not any more
        const bool over = mutation.record.expires_at_ms != 0 &&
                          mutation.record.expires_at_ms <= wall_ms &&
                          row.meta.state == RowState::live;
        return over ? ApplyOutcome::superseded : ApplyOutcome::base_unknown;
      }
      row.meta.expires_at_ms = row.record.expires_at_ms = mutation.record.expires_at_ms;
      break;
    case Kind::tomb:
      if (mutation.creates) ++row.meta.incarnation;
      end_row(row, mutation.tomb_until_ms);
      break;
    case Kind::stale:
      return apply_stale(row);
    case Kind::doubt:
      if (row.meta.state == RowState::absent) return apply_stale(row);
      break;
    case Kind::placed:
      if (row.meta.state == RowState::absent) return ApplyOutcome::superseded;
      break;
    case Kind::forget:
    case Kind::merge:
    case Kind::replace:
    case Kind::shipped:
      break;
  }
  return ApplyOutcome::applied;
}

// Of a row that is taken, this of what was known stays true.
void take(Mutation& mutation, Row& row) {
  const RowMeta before = row.meta;
  row.meta = *mutation.merged;
  row.meta.base = row.meta.version();
  row.meta.unshipped = Unshipped::nothing;
  row.meta.mark = {};
  row.record = std::move(mutation.record);
  const bool kept_for_ever = row.meta.state == RowState::tomb && row.meta.tomb_until_ms == 0;
  const std::int64_t copies_until_ms = std::max(before.tomb_until_ms, before.expires_at_ms);
  if (!kept_for_ever) row.meta.tomb_until_ms = std::max(row.meta.tomb_until_ms, copies_until_ms);
}

// The backup's expiry, or ours that it does not have yet, whichever is later.
bool put_off_expiry(Row& row, std::int64_t expires_at_ms) {
  const std::int64_t later_ms = later_expiry(row.meta.expires_at_ms, expires_at_ms);
  if (row.meta.state != RowState::live || later_ms == row.meta.expires_at_ms) return false;
  row.meta.expires_at_ms = row.record.expires_at_ms = later_ms;
  return true;
}

ApplyOutcome apply_merge(Mutation& mutation, Row& row) {
  const RowMeta before = row.meta;
  const RowMeta& there = *mutation.merged;
  const bool known = before.state != RowState::absent;
  if (known && mutation.kind == Mutation::Kind::merge) {
    // Decided here, with the key locked: whatever is older was read for it, also where the ledger
    // could not take what came between.
    const bool made_from_it = mutation.base != Version{} && before.version() < there.version();
    if (before.unshipped > Unshipped::touch && !made_from_it) return ApplyOutcome::superseded;
    const bool same = before.base == there.version() && before.state == there.state &&
                      before.incarnation == there.incarnation;
    if (same) {
      return put_off_expiry(row, there.expires_at_ms) ? ApplyOutcome::applied
                                                      : ApplyOutcome::superseded;
    }
    RowMeta ours = before;
    if (before.base != Version{}) {  // touches of ours stand above it
      ours.hlc = before.base.hlc;
      ours.origin = before.base.origin;
    }
    if (!is_newer(there, ours)) return ApplyOutcome::superseded;
  }
  take(mutation, row);
  // A touch of ours that came after it stays on top of it.
  const bool later = before.unshipped == Unshipped::touch && before.hlc > row.meta.hlc &&
                     before.incarnation == row.meta.incarnation;
  if (later && put_off_expiry(row, before.expires_at_ms)) {
    row.meta.hlc = before.hlc;
    row.meta.origin = before.origin;
    row.meta.unshipped = Unshipped::touch;
  }
  return ApplyOutcome::applied;
}

ApplyOutcome apply_shipped(const Mutation& mutation, Row& row) {
  if (row.meta.state == RowState::absent) return ApplyOutcome::superseded;
  const RowMeta before = row.meta;
  const RowMeta& ours = *mutation.merged;
  // Else a later row of the backup's has been taken since.
  if (before.base == ours.base) row.meta.base = mutation.base;
  // A session that was opened here after what is buried there.
  const bool opened = ours.state == RowState::tomb && before.state == RowState::live;
  row.meta.incarnation = std::max(before.incarnation, ours.incarnation + (opened ? 1 : 0));
  if (row.meta.version() == ours.version()) row.meta.unshipped = Unshipped::nothing;
  return row.meta == before ? ApplyOutcome::superseded : ApplyOutcome::applied;
}

}  // namespace

bool is_newer(const RowMeta& a, const RowMeta& b) {
  if (a.incarnation != b.incarnation) return a.incarnation > b.incarnation;
  if (a.state != b.state) return a.state > b.state;
  return a.version() > b.version();
}

ApplyOutcome apply(Mutation&& mutation, Row& row, std::int64_t wall_ms) {
  using Kind = Mutation::Kind;
  if (mutation.kind == Kind::merge || mutation.kind == Kind::replace) {
    return apply_merge(mutation, row);
  }
  if (mutation.kind == Kind::shipped) return apply_shipped(mutation, row);
  if (mutation.hlc <= row.meta.hlc) return ApplyOutcome::superseded;
  const bool known = row.meta.state != RowState::absent && !row.meta.stale;
  if (mutation.only_if_unknown && known) return ApplyOutcome::superseded;
  if (mutation.kind == Kind::forget) {
    row = Row{};
    return ApplyOutcome::applied;
  }
  const bool ended = !row.meta.live_at(wall_ms);
  const std::int64_t expires_at_ms = row.meta.expires_at_ms;
  const std::int64_t copies_until_ms = std::max(row.meta.tomb_until_ms, expires_at_ms);
  const ApplyOutcome outcome = change_row(mutation, row, ended, wall_ms);
  if (outcome != ApplyOutcome::applied) return outcome;
  stamp(row, mutation, ended);
  if (mutation.origin != 0) note_unshipped(row.meta, mutation, expires_at_ms, ended);
  const bool kept_for_ever = row.meta.state == RowState::tomb && row.meta.tomb_until_ms == 0;
  if (!kept_for_ever) row.meta.tomb_until_ms = std::max(row.meta.tomb_until_ms, copies_until_ms);
  return outcome;
}

ApplyOutcome apply(const Mutation& mutation, Row& row, std::int64_t wall_ms) {
  return apply(Mutation(mutation), row, wall_ms);
}

}  // namespace stayd
