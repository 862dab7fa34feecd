// What a write does to a row: the one rule that every backup follows, and that the backups in SQL
// are tested against. Pure functions, any thread.
#pragma once

#include <optional>
#include <vector>

#include "store/backup/backup.h"

namespace stayd {

struct AppliedWrite {
  BackupOutcome outcome = BackupOutcome::applied;
  BackupRow row;  // as it is afterwards: `there` unless applied; `change` is left to the caller
};

// `there` has state `absent` where there is no row; its key is not looked at.
AppliedWrite apply_write(const BackupRow& there, const BackupWrite& write);

// Why this cannot be written (`limit`, `invalid`); nullopt: it can. Names the place in the list.
std::optional<Error> check_batch(const BackupBatch& batch);
std::optional<Error> check_keys(const std::vector<FullKey>& keys);

}  // namespace stayd
