#include "store/backup/apply_write.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string_view>

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
  return out;
}

// A logout that has seen no row.
AppliedWrite bury(const BackupRow& there, const BackupRow& by) {
  AppliedWrite out{BackupOutcome::applied, replace(there, by)};
  if (there.state == RowState::absent) return out;
  if (there.state != RowState::live || by.version() <= there.version()) {
    return {BackupOutcome::superseded, there};
  }
  out.row.incarnation = there.incarnation;
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
  const bool bury = write.kind == BackupWrite::Kind::bury;
  if (bury && (row.state != RowState::tomb || write.expected)) {
    return make_error(Errc::invalid, "a burial, and not of a tombstone alone");
  }
  if (std::max({row.hlc, row.touched_hlc, write.expected.value_or(Version{}).hlc}) > kMaxHlc) {
    return make_error(Errc::invalid, "a version of 2^63 or more");
  }
  return std::nullopt;
}

std::optional<Error> check_host(const BackupHost& host) {
  if (host.instance == 0) return make_error(Errc::invalid, "backup: a host without an instance");
  if (std::max(host.hlc, host.shipped_to) > kMaxHlc) {
    return make_error(Errc::invalid, "backup: a host's version of 2^63 or more");
  }
  if (host.name.size() <= kMaxBackupHostNameBytes) return std::nullopt;
  return make_error(Errc::limit, fmt::format("backup: a host's name of {} bytes, at most {}",
                                             host.name.size(), kMaxBackupHostNameBytes));
}

bool names_a_key_again(const std::vector<BackupWrite>& writes) {
  std::vector<std::string_view> keys;
  for (const BackupWrite& write : writes) keys.push_back(write.row.key);
  std::ranges::sort(keys);
  return std::ranges::adjacent_find(keys) != keys.end();
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
    const bool wants_none = *write.expected == Version{};
    const bool as_expected = wants_none ? none : !none && there.version() == *write.expected;
    if (!as_expected) return {BackupOutcome::conflict, there};
  }
  const BackupRow& by = write.row;
  if (write.kind == BackupWrite::Kind::touch) return touch(there, by);
  if (write.kind == BackupWrite::Kind::bury) return bury(there, by);
  if (!newer(by.incarnation, by.state, by.version(), there))
    return {BackupOutcome::superseded, there};
  return {BackupOutcome::applied, replace(there, by)};
}

std::optional<Error> check_batch(const BackupBatch& batch) {
  const std::vector<BackupWrite>& writes = batch.writes;
  if (writes.size() > kMaxBackupBatch) return too_many(writes.size());
  for (std::size_t i = 0; i < writes.size(); ++i) {
    if (const auto error = check_write(writes[i])) return at(i, *error);
  }
  if (batch.together && names_a_key_again(writes)) {
    return make_error(Errc::invalid, "backup: a key twice in what is to be written together");
  }
  return batch.host ? check_host(*batch.host) : std::nullopt;
}

std::optional<Error> check_keys(const std::vector<FullKey>& keys) {
  if (keys.size() > kMaxBackupBatch) return too_many(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (const auto error = check_key(keys[i])) return at(i, *error);
  }
  return std::nullopt;
}

}  // namespace stayd
