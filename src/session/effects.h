// What a command that Redis executed did to the ledger's rows, told from the command and Redis'
// reply alone, without looking at the value. Pure and deterministic.
#pragma once

#include <cstdint>
#include <vector>

#include "resp/command_table.h"
#include "resp/reply.h"
#include "session/mutation.h"

namespace stayd {

enum class Effects : std::uint8_t {
  none,       // nothing changed (an error reply, NX refused, HDEL of nothing, a read)
  known,      // `out` holds the mutations (key, kind, payload; the rest is the caller's)
  read_back,  // cannot be told: read every written key's state back from Redis (R17 "opaque")
};

// `wall_ms`: when the command was sent, for relative expiries. Errors as reply: none, except that
// scripts may have written before failing: read_back.
Effects derive_effects(const CommandSpec& spec, const Args& args, int db, const ReplyView& reply,
                       std::int64_t wall_ms, std::vector<Mutation>& out);

// True when derive_effects would answer `read_back` for a successful reply: the rows must be marked
// stale before the command is sent.
bool effects_need_read_back(const CommandSpec& spec, const Args& args);

// True when the reply is one that Redis also gives because it lost the key (nil, 0 from EXISTS, -2
// from TTL, an empty aggregate, "no such key"): the keys must be checked against the ledger (R15).
bool looks_absent(const CommandSpec& spec, const Args& args, const ReplyView& reply);

// True when the reply to a command of one key proves that Redis does not hold the key: stricter
// than looks_absent, which also takes a missing field or an empty string for it.
bool proves_absent(const CommandSpec& spec, const ReplyView& reply);

// True when the command removes whole keys whatever they hold (DEL, UNLINK, GETDEL, EXPIRE <= 0 and
// its kin with a time that has passed): a logout; the tombstone is written before Redis is asked.
bool is_removal(const CommandSpec& spec, const Args& args, std::int64_t wall_ms);

}  // namespace stayd
