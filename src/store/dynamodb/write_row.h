// The requests that write rows, and what DynamoDB takes of them. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/backup/backup.h"
#include "store/dynamodb/exchange.h"

namespace stayd::dynamo {

inline constexpr std::size_t kMaxTogether = 100;  // rows in a transaction

// Errors: limit. `values`: of each write, encoded; empty where it has none.
Result<void> check_sizes(const std::vector<BackupWrite>& writes,
                         const std::vector<std::string>& values, bool together);

// Writes the row if the item's change still is `old_change` (empty: if it has none). `value`:
// encoded; nullptr: only what a touch changes.
Request write_row(const std::string& table, const BackupRow& row, const std::string* value,
                  const std::string& old_change);

// All of them or none. Sent again under the same name, it is the same one, for 10 minutes.
Request transaction(std::vector<Request> writes, const std::string& name);

}  // namespace stayd::dynamo
