// What one engine of a Redis Cluster hands to another with the slots that move: what it holds in
// memory about their keys and no scan of the ledger finds. What is owed is not in it: the rows of
// slots that come are all written anew (gains.h). A plain value.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "core/adopter.h"
#include "core/key_table.h"
#include "core/ledger_end.h"
#include "core/unrecorded.h"

namespace stayd {

struct Handover {
  KeyMap<Hlc> tombs;  // logouts that the ledger could not take
  std::vector<Unrecorded::Missing> unrecorded;
  std::vector<FullKey> placed;          // provisional rows that are known to be stayd's own
  std::vector<FullKey> leftovers;       // writes in doubt
  std::vector<Adopter::Wanted> wanted;  // to be read back
  std::vector<std::pair<std::uint64_t, FullKey>> told_absent;  // (client, key): for fences
  std::vector<LedgerDoubt> doubts;                             // about all rows
  bool adoption_complete = true;  // false: Redis may hold keys there that nobody knows

  // Takes out what `place` owns.
  Handover of(const ShardPlace& place);
};

}  // namespace stayd
