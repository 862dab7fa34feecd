#include "core/fleet.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace stayd {

namespace {

constexpr const char* kHostFact = "instance";
constexpr const char* kLivesFact = "fleet_lives";
constexpr const char* kWithoutFact = "life_without_backup";

std::uint64_t number_fact(const Store& ledger, const char* name) {
  const std::string text = ledger.fact(name);
  std::uint64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

}  // namespace

std::uint64_t next_origin(Store& ledger, Random& random) {
  std::uint64_t host = host_of(number_fact(ledger, kHostFact));
  while (host == 0) host = host_of(random.next());
  ledger.put_fact(kHostFact, origin_text(host));
  const std::uint64_t life = number_fact(ledger, kLivesFact) + 1;
  ledger.put_fact(kLivesFact, std::to_string(life));
  return host | life % kOriginLives;
}

void note_life_without_backup(Store& ledger) {
  if (!ledger.fact(kLivesFact).empty()) ledger.put_fact(kWithoutFact, "yes");
}

bool had_life_without_backup(const Store& ledger) {
  return ledger.fact(kWithoutFact) == "yes";
}

void forget_life_without_backup(Store& ledger) {
  ledger.put_fact(kWithoutFact, "");
}

std::string origin_text(std::uint64_t origin) {
  return std::to_string(origin);
}

// `seen` tells of four entries since then: the first may have been there before, the second may
// have been made before, what the third says of the clock is later.
bool FleetHostSeen::shipped_since(std::int64_t mono_us) const {
  const auto first =
      std::ranges::find_if(seen, [mono_us](const auto& one) { return one.first >= mono_us; });
  if (seen.end() - first < 3) return false;
  return entry.shipped_to >= (first + 2)->second;
}

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
  out.through_redis = row.meta.through_redis;
  out.tomb_until_ms = row.meta.state == RowState::tomb ? row.meta.tomb_until_ms : 0;
  return out;
}

BackupRow backup_row(const FullKey& key, const RowMeta& meta, Version version) {
  BackupRow out = backup_row(key, Row{.meta = meta, .record = {}});
  out.hlc = version.hlc;
  out.origin = version.origin;
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
  out.through_redis = row.through_redis;
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
