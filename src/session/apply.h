// What one Mutation does to one Row: the meaning of mutation.h as a pure function, shared by every
// store and by the simulator, so that they cannot disagree. No clock, no I/O.
#pragma once

#include <cstdint>

#include "session/mutation.h"

namespace stayd {

// Changes `row` in place. `wall_ms` decides whether the row's expiry has passed, and becomes
// `created_at_ms` of an incarnation that begins. The payload is moved out of `mutation`.
//   superseded    the row's hlc is not smaller, or `only_if_unknown` and the row is known;
//   unchanged base_unknown  the row does not say what the change builds on (absent, stale, of
//   another type, or
//                 ended for a change of expiry or a removal of elements); unchanged
// After a tombstone or a passed expiry `value` and added `elements` begin a new incarnation without
// expiry: there the row is known to have been gone.
ApplyOutcome apply(Mutation&& mutation, Row& row, std::int64_t wall_ms);
ApplyOutcome apply(const Mutation& mutation, Row& row, std::int64_t wall_ms);

// I7 among hosts: a later incarnation, then a tombstone over what lived in it, then the version. Of
// two tombstones too, unlike in the backup: the ledger follows whichever one the backup has.
bool is_newer(const RowMeta& a, const RowMeta& b);

}  // namespace stayd
