// The ledger's key ring: opened with the master keys that stayd was given, made where encryption
// begins, wrapped again and given a new data key where the first master key is another than before.
//
// It is on disk before anything is sealed under what is in it. Used by whoever owns the database.
#pragma once

#include <string>

#include "base/error.h"
#include "store/key_ring.h"
#include "store/ledger/database.h"
#include "store/ledger/folder.h"
#include "store/ledger/ledger_options.h"

namespace stayd {

// The fact that tells under which data key the last walk over all rows has sealed their values, and
// how many of them did not open, if any. None, or another data key: not every value is under the
// active one yet.
inline constexpr const char* kSealedFact = "sealed_under";
std::string sealed_fact(const Database& database, std::uint64_t skipped);

// Sets the database's codec up by `at_rest`.
//   invalid   the ledger is encrypted and no key was given, or none of those given opens it; the
//             message names the setting. Nothing was changed
//   limit     too many data keys are in use for another master key; nothing was changed
Result<void> set_up_at_rest(Database& database, const Folder& folder, const AtRestOptions& at_rest);
// Only to read: changes nothing.
Result<void> set_up_to_read(Database& database, const std::string& path,
                            const AtRestOptions& at_rest);
// Whether the walk has not ended under the active data key.
bool reseal_wanted(const Database& database);

}  // namespace stayd
