// Engine: what nobody here knows while the primary is out may be asked of a replica
// (replica_reads.h; docs/adr/0014).
#include <algorithm>

#include "core/engine.h"

namespace stayd {

// True: on_replica_hit or on_replica_miss follows. Its rows are loaded, its keys locked: a
// tombstone, or a row that answers, does not come here. What the ledger has missed of this key, or
// owes to Redis, is newer than any replica.
bool Engine::ask_replica(Call& call) {
  if (!c_.options.replica_reads || c_.up() || c_.options.observe) return false;
  const bool one = !call.is_block() && !call.pinned && call.keys.size() == 1;
  if (!one || call.spec->handling != Handling::read || call.writes()) return false;
  const SessionPolicy* policy = policy_of(call);
  if (policy == nullptr || policy->key_class != KeyClass::session) return false;
  const FullKey& key = call.keys[0];
  const RowMeta& meta = working_[key].meta;
  if (meta.state == RowState::tomb || c_.debts.has(key) || c_.unrecorded.has(key) ||
      shard_.is_leftover(key)) {
    return false;
  }
  const Hlc floor = std::max(meta.stale ? meta.hlc : 0, shard_.flushed(call.db));
  if (!replica_reads_.ask(call, floor, command_deadline_us())) return false;
  call.stage = static_cast<std::uint8_t>(Stage::replica);
  return true;
}

// Once the primary is there it is asked, or what it held before.
void Engine::on_replica_hit(Call& call, std::string_view frame) {
  if (c_.up()) return on_replica_miss(call);
  ++c_.counters.replies_from_replicas;
  complete(call, frame);
}

void Engine::on_replica_miss(Call& call) {
  c_.up() ? reroute(call) : reply_unknown(call, unknown_policy(call));
  run_ready();
}

}  // namespace stayd
