// World: what the backup of a fleet must hold in the end.
#include <algorithm>

#include "core/side_keys.h"
#include "sim/world.h"

namespace stayd::sim {

namespace {
constexpr std::int64_t kShippedUs = 70 * kSecond;  // a touch may be put off for a minute
}

// The others know a session by the backup alone: once everything is shipped it tells what the
// ledger tells.
void World::compare_backup() {
  const auto shipped = [this] {
    return std::ranges::all_of(instances, [](const auto& one) { return one->unshipped() == 0; });
  };
  scheduler.run_until(scheduler.now_us() + kShippedUs, [&] { return stop() || shipped(); });
  if (!shipped()) {
    const auto lags = [](const auto& one) { return one->unshipped() != 0; };
    const auto& one = *std::ranges::find_if(instances, lags);
    return users.fail({}, "not everything is in the backup: " + one->name() + one->fleet_text());
  }
  for (const auto& one : instances) {
    for (const auto& [key, row] : one->disk().rows()) {
      if (is_side_key(key_of(key)) || users.not_compared.contains(key)) continue;
      if (!users.failed()) compare_in_backup(key, row);
    }
  }
}

void World::compare_in_backup(const FullKey& key, const Row& row) {
  const BackupRow there = backup.read(key);
  // By the clock of the one whose row it is: what expires meanwhile is left alone.
  const auto lives = [this](RowState state, std::int64_t expires_at_ms) {
    return state == RowState::live &&
           (expires_at_ms == 0 || expires_at_ms > scheduler.wall_ms() + expiry_slack_ms());
  };
  const bool in_ledger = lives(row.meta.state, row.meta.expires_at_ms);
  const bool in_backup = lives(there.state, there.record.expires_at_ms);
  if (in_ledger && there.state != RowState::live) {
    return users.fail(key, "the ledger holds a key that the backup does not");
  }
  if (in_backup && row.meta.state != RowState::live) {
    return users.fail(key, "the backup holds a key that the ledger does not");
  }
  if (in_ledger && in_backup && there.record.value != row.record.value) {
    users.fail(key, "the backup and the ledger hold different values");
  }
}

}  // namespace stayd::sim
