// The stand-in: executes Redis commands on session records while Redis is out, with Redis' replies
// and error texts (7.0.15), for strings, hashes, sets, sorted sets, expiry and key commands, and
// the fixed scripts that session libraries send (`scripts.h`).
//
// Pure: records in, reply bytes and mutations out. No clock (time is an argument), no I/O, no
// hidden state; deterministic. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "resp/command_table.h"
#include "session/mutation.h"
#include "session/record.h"

namespace stayd {

// The records a command may touch. The caller has loaded every key that `find_keys` names before
// executing; a key that does not exist is a Record with no value.
class Workspace {
 public:
  virtual ~Workspace() = default;
  // Requires: `full_key` belongs to the command. The reference is good until the command ends.
  virtual Record& record(std::string_view full_key) = 0;
};

struct StandInInput {
  const CommandSpec* spec = nullptr;
  const Args* args = nullptr;
  int db = 0;
  std::int64_t wall_ms = 0;
};

// True when `execute` can answer this command with these arguments.
bool stand_in_supports(const CommandSpec& spec, const Args& args);

// Executes on the workspace: changes the records in place, appends exactly one RESP3 reply to
// `reply` and appends to `effects` one Mutation for each change (key, kind and payload set; hlc,
// mark and tomb_until_ms are the caller's to fill). A record whose expiry has passed counts as
// absent, and is replaced, never revived. A record of type `opaque` answers WRONGTYPE where Redis
// would, and otherwise "-ERR stayd: this type is not available while Redis is out".
//
// At most one mutation per key. A key that did not exist is `put` whole, so that no mutation
// depends on a row that is not there. DEL, UNLINK, GETDEL, and EXPIRE with a past time bury every
// key they name, known here or not (R4).
//
// Where Redis picks at random (SPOP, SRANDMEMBER, HRANDFIELD) the pick follows from `wall_ms` and
// the first element. HSCAN, SSCAN and ZSCAN answer everything in one page. Repeated picks (a
// negative count) are refused beyond 65,536. COPY with DB is not supported. Requires:
// stand_in_supports(spec, args) and the arity fits.
void execute(const StandInInput& input, Workspace& workspace, std::string& reply,
             std::vector<Mutation>& effects);

}  // namespace stayd
