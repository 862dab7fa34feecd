#include "core/fleet.h"

#include <utility>

namespace stayd {

BackupRow backup_row(const FullKey& key, const Row& row) {
  BackupRow out;
  out.key = key;
  out.incarnation = row.meta.incarnation;
  out.state = row.meta.state;
  out.hlc = row.meta.hlc;
  out.origin = row.meta.origin;
  if (row.meta.state == RowState::live) out.record = row.record;
  out.record.expires_at_ms = row.meta.expires_at_ms;
  out.created_at_ms = row.meta.created_at_ms;
  out.tomb_until_ms = row.meta.state == RowState::tomb ? row.meta.tomb_until_ms : 0;
  return out;
}

RowMeta meta_of(const BackupRow& row) {
  RowMeta out;
  out.state = row.state;
  out.type = row.record.type();
  out.incarnation = row.incarnation;
  out.hlc = row.hlc;
  out.origin = row.origin;
  out.expires_at_ms = row.record.expires_at_ms;
  out.created_at_ms = row.created_at_ms;
  out.tomb_until_ms = row.tomb_until_ms;
  return out;
}

Mutation merge_of(BackupRow row, bool replace) {
  Mutation out;
  out.kind = replace ? Mutation::Kind::replace : Mutation::Kind::merge;
  out.merged = std::make_shared<const RowMeta>(meta_of(row));
  out.key = std::move(row.key);
  out.record = std::move(row.record);
  return out;
}

Mutation shipped_of(const FullKey& key, const RowMeta& row, Version base) {
  Mutation out;
  out.kind = Mutation::Kind::shipped;
  out.key = key;
  out.base = base;
  out.merged = std::make_shared<const RowMeta>(row);
  return out;
}

}  // namespace stayd
