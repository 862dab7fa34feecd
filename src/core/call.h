// One client command on its way through stayd, and the seam between the Redis port and the engine.
//
// Ownership: the caller (a client session of `proxy/`) owns the Call and keeps it alive until
// `CallSink::on_reply`, even when the client has gone. Engine loop only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/types.h"
#include "core/upstream.h"
#include "resp/command_table.h"
#include "session/record.h"
#include "store/store.h"

namespace stayd {

class CallSink;

struct Call {
  // --- the request; filled by the client session
  // -----------------------------------------------------
  std::string raw;  // the command as a RESP array; `args` are views into it
  Args args;
  const CommandSpec* spec = nullptr;
  std::uint8_t db = 0;
  CallSink* sink = nullptr;
  std::uint64_t client_id = 0;
  // EXEC: the queued commands, in order (each with raw, args, spec and db). Their replies are part
  // of this call's one reply.
  std::vector<std::unique_ptr<Call>> block;
  // EXEC of a client that watches keys, and blocking commands: the client's own upstream
  // connection.
  bool pinned = false;

  // --- the answer
  // ------------------------------------------------------------------------------------
  bool done = false;
  std::string reply;  // for the client session's use when replies must wait their turn

  // --- the engine's own
  // ------------------------------------------------------------------------------
  std::vector<std::uint32_t> key_positions;
  std::vector<FullKey> keys;
  FullKey key_memory;  // of an earlier command's first key, for the next one's
  std::uint64_t submitted_order = 0;
  std::int64_t submitted_us = 0;
  std::int64_t sent_wall_ms = 0;
  Hlc hlc = 0;
  InFlightTable::Slot slot = InFlightTable::kNone;  // until the ledger has recorded the write
  Hlc made_from = 0;          // in a fleet: counted among the versions that are being made
  Hlc agreed_from = 0;        // in a fleet: the lowest version that the backup has been given
  Hlc held_from = 0;          // S stays below this version until the call has ended; 0: need not
  std::uint32_t waiting = 0;  // unreported store operations and replies
  std::uint32_t asked = 0;    // keys whose rows the ledger has been asked for
  std::uint8_t stage = 0;
  bool locks_held = false;    // its keys are locked in its name
  bool in_flight = false;     // counted in its keys' in-flight writes
  bool queued = false;        // stands in its keys' queues
  bool listed = false;        // stands in the list of calls to try again
  std::uint32_t removed = 0;  // live rows that a removal found
  bool contradicted = false;  // a check found that Redis' memory is not what we thought
  bool unproven = false;      // its database has no heartbeat yet: what is missing may be lost
  bool ledgerless = false;    // the ledger could not be read when Redis said "absent"
  bool sent = false;          // Redis may have executed it, as version `hlc`
  bool in_doubt = false;      // and its reply was lost, or is none of a memory to believe
  std::uint32_t probes = 0;   // EXISTS that stand before the block's own commands
  bool rerun = false;         // sent again, because a key it missed was there after all
  bool created = false;       // Redis did not have the key: what is written is all there is
  bool unrecorded = false;    // the ledger failed
  bool alone = false;         // of a fleet: the shared backup could not be asked
  bool outpaced = false;      // of a fleet: another stayd has changed its rows meanwhile
  bool marked = false;        // its rows are stale in the ledger: Redis is asked for them
  bool elsewhere = false;     // Redis was asked for a key, and has not got its slot
  bool redirected = false;    // another shard has been asked, as the first one said
  bool logged_out = false;    // Redis has removed sessions by it, and confirmed that
  bool buried = false;        // found keys removed, which the ledger may not have written yet
  std::int64_t lifetime_end_ms = 0;              // absolute end of the session, while Redis is told
  bool checked = false;                          // an absent-looking reply has been checked once
  std::uint64_t evicted_keys = 0;                // as read for that check
  Hlc verified_hlc = 0;                          // its time
  std::vector<RowMeta> metas;                    // what the ledger knows of `keys`
  std::vector<std::pair<FullKey, Hlc>> revived;  // logouts in memory that its writes come after
  std::vector<bool> gone;                        // which of `keys` Redis does not hold
  std::string held;                              // the reply, while the ledger records the effect

  // EXEC; its block may be empty when the client watches keys.
  bool is_block() const {
    return pinned ? spec->handling == Handling::transaction : !block.empty();
  }

  // True when it may change keys. Scripts carry no write flag in Redis' table, and may.
  bool writes() const {
    return spec->writes() ||
           (spec->handling == Handling::script && (spec->flags & kCmdReadonly) == 0);
  }

  // False: COPY ... DB, MOVE, or a block that selects, with a key of another database than `db`.
  bool one_database() const {
    return std::all_of(keys.begin(), keys.end(),
                       [this](const FullKey& key) { return db_of(key) == db; });
  }

  // Ready for another command; keeps its memory.
  void clear() {
    raw.clear();
    args.clear();
    spec = nullptr;
    block.clear();
    pinned = false;
    done = false;
    reply.clear();
    key_positions.clear();
    if (!keys.empty()) key_memory = std::move(keys.front());
    keys.clear();
    waiting = asked = 0;
    stage = 0;
    locks_held = in_flight = queued = listed = false;
    removed = probes = 0;
    slot = InFlightTable::kNone;
    hlc = held_from = made_from = agreed_from = 0;
    in_doubt = contradicted = unproven = ledgerless = checked = sent = rerun = created =
        unrecorded = alone = outpaced = marked = elsewhere = redirected = buried = logged_out =
            false;
    metas.clear();
    revived.clear();
    gone.clear();
    held.clear();
  }
};

// How its commands stand to those for other databases.
inline Order order_of(const Call& call) {
  Order order = Order::by_key;
  for (const auto& sub_call : call.block) {
    if (sub_call->spec->name == "select") return Order::strays;
    if (order_of(*sub_call) != Order::by_key) order = Order::strict;
  }
  if (!call.block.empty()) return order;
  const bool keyed =
      call.spec->handling == Handling::read || call.spec->handling == Handling::write;
  return keyed && call.one_database() ? Order::by_key : Order::strict;
}

class CallSink {
 public:
  virtual ~CallSink() = default;
  // `reply` is exactly one RESP3 reply, valid during the call. After it the engine forgets the
  // Call.
  virtual void on_reply(Call& call, std::string_view reply) = 0;
};

// What the Redis port needs of the engine. Implemented by core/engine.h.
class CallHandler {
 public:
  virtual ~CallHandler() = default;
  // Takes one command. Exactly one on_reply follows, now or later, in any order across calls; the
  // client session restores each client's order. Commands of one client that must not overtake each
  // other on different lanes (every Handling but read, write and transaction) are submitted only
  // when the client has no other call under way, and the client's next command waits for them.
  virtual void submit(Call& call) = 0;
  // True while Redis answers: INFO, CONFIG and COMMAND go there; otherwise the port answers itself.
  virtual bool redis_answers() const = 0;
  // True when a flush would not be refused: several engines flush all, or none.
  virtual bool may_flush() const { return redis_answers(); }
  // The client of `client_id` is gone: its own upstream connection, watches and blocked commands
  // end.
  virtual void client_gone(std::uint64_t client_id) = 0;
};

}  // namespace stayd
