#include "store/backup/apply_write.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace stayd {
namespace {

constexpr Hlc kMaxHlc = static_cast<Hlc>(std::numeric_limits<std::int64_t>::max());

// What was touched after the new value was made stays touched.
BackupRow replace(const BackupRow& there, const BackupRow& by) {
  BackupRow row = by;
  row.unreadable.clear();
  if (row.state != RowState::live) {
    row.record = {};
    row.touched_hlc = 0;
    return row;
  }
  row.tomb_until_ms = 0;
  const bool touched_since = there.state == RowState::live &&
                             there.incarnation == row.incarnation && there.touched_hlc > row.hlc;
  if (touched_since) {
    row.record.expires_at_ms = later_expiry(there.record.expires_at_ms, row.record.expires_at_ms);
    row.touched_hlc = std::max(there.touched_hlc, row.touched_hlc);
    row.confirmed = false;  // the two together
  }
  return row;
}

AppliedWrite touch(const BackupRow& there, const BackupRow& by) {
  const bool fits =
      there.state == RowState::live && there.incarnation == by.incarnation && by.hlc > there.hlc;
  const std::int64_t expiry = later_expiry(there.record.expires_at_ms, by.record.expires_at_ms);
  if (!fits || (by.hlc <= there.touched_hlc && expiry == there.record.expires_at_ms)) {
    return {BackupOutcome::superseded, there};
  }
  AppliedWrite out{BackupOutcome::applied, there};
  out.row.record.expires_at_ms = expiry;
  out.row.touched_hlc = std::max(there.touched_hlc, by.hlc);
  out.row.confirmed = there.confirmed && by.confirmed;
  return out;
}

AppliedWrite confirm(const BackupRow& there, const BackupRow& by) {
  const bool same = there.state != RowState::absent && there.state == by.state &&
                    there.incarnation == by.incarnation && there.hlc == by.hlc &&
                    there.touched_hlc == by.touched_hlc && there.origin == by.origin;
  if (!same || there.confirmed) return {BackupOutcome::superseded, there};
  AppliedWrite out{BackupOutcome::applied, there};
  out.row.confirmed = true;
  return out;
}

std::optional<Error> check_key(const FullKey& key) {
  if (key.empty()) return make_error(Errc::invalid, "empty key");
  if (key.size() <= kMaxBackupKeyBytes) return std::nullopt;
  return make_error(Errc::limit,
                    fmt::format("key of {} bytes, at most {}", key.size(), kMaxBackupKeyBytes));
}

std::optional<Error> check_write(const BackupWrite& write) {
  const BackupRow& row = write.row;
  if (auto error = check_key(row.key)) return error;
  const bool put = write.kind == BackupWrite::Kind::put;
  if (put && row.state == RowState::absent) return make_error(Errc::invalid, "a put of no row");
  if (put && row.state == RowState::live && !row.record.exists()) {
    return make_error(Errc::invalid, "a live row without a value");
  }
  if (std::max({row.hlc, row.touched_hlc, write.expected.value_or(0)}) > kMaxHlc) {
    return make_error(Errc::invalid, "a version of 2^63 or more");
  }
  if (row.origin.size() <= kMaxBackupOriginBytes) return std::nullopt;
  return make_error(Errc::limit, fmt::format("origin of {} bytes, at most {}", row.origin.size(),
                                             kMaxBackupOriginBytes));
}

Error too_many(std::size_t count) {
  return make_error(Errc::limit,
                    fmt::format("backup: {} rows at once, at most {}", count, kMaxBackupBatch));
}

Error at(std::size_t place, const Error& error) {
  return make_error(error.code, fmt::format("backup: row {}: {}", place, error.message));
}

}  // namespace

AppliedWrite apply_write(const BackupRow& there, const BackupWrite& write) {
  if (write.expected) {
    const bool none = there.state == RowState::absent;
    const bool as_expected = *write.expected == 0 ? none : !none && there.hlc == *write.expected;
    if (!as_expected) return {BackupOutcome::conflict, there};
  }
  const BackupRow& by = write.row;
  if (write.kind == BackupWrite::Kind::touch) return touch(there, by);
  if (write.kind == BackupWrite::Kind::confirm) return confirm(there, by);
  if (!newer(by.incarnation, by.state, by.hlc, there)) return {BackupOutcome::superseded, there};
  return {BackupOutcome::applied, replace(there, by)};
}

std::optional<Error> check_writes(const std::vector<BackupWrite>& writes) {
  if (writes.size() > kMaxBackupBatch) return too_many(writes.size());
  for (std::size_t i = 0; i < writes.size(); ++i) {
    if (const auto error = check_write(writes[i])) return at(i, *error);
  }
  return std::nullopt;
}

std::optional<Error> check_keys(const std::vector<FullKey>& keys) {
  if (keys.size() > kMaxBackupBatch) return too_many(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (const auto error = check_key(keys[i])) return at(i, *error);
  }
  return std::nullopt;
}

}  // namespace stayd
