// Engine: Redis says a key is not there. Its nil is not proof (R4): it may have been emptied,
// evicted, rolled back. The ledger is asked; when it knows better, Redis is asked once more what
// happened:
//
//   ledger: no row, tombstone, expired ─────────────────────────────▶ it is absent
//   ledger: LIVE ─▶ EXISTS, heartbeat key, evicted_keys in one write
//        exists after all, nothing was evicted ─────────────────────▶ the reply stands
//        exists after all, keys were evicted ───────────────────────▶ once more
//        heartbeat key changed ─────────────────────────────────────▶ SUSPECT; the stand-in answers
//        keys were evicted since the row was confirmed ─────────────▶ owed; the stand-in answers
//          (where several stayds share a Redis: shared.cc)
//        nothing moved: somebody deleted it ────────────────────────▶ tombstone; it is absent
//   ledger: cannot be read ─▶ heartbeat key, evicted_keys
//        unchanged, and nothing was ever evicted ───────────────────▶ it is absent
//        otherwise ─────────────────────────────────────────────────▶ UNKNOWN
#include <algorithm>

#include "core/engine.h"
#include "core/fleet_view.h"
#include "resp/request_parser.h"
#include "session/effects.h"

namespace stayd {

namespace {
constexpr std::int64_t kFenceMs = 30'000;
constexpr std::size_t kMaxEvidence = 4096;
}  // namespace

bool Engine::needs_proof(const Call& call, std::string_view frame) const {
  return c_.rules.nil_needs_proof && looks_absent(*call.spec, call.args, ReplyView(frame));
}

void Engine::check_absent(Call& call, std::string_view frame) {
  ++c_.counters.absent_checks;
  call.held.assign(frame);
  call.checked = true;
  mutations_.clear();  // most writes did nothing; ZADD XX counts no element that it changes
  call.in_doubt = call.writes() && derive_effects(*call.spec, call.args, call.db, ReplyView(frame),
                                                  call.sent_wall_ms, mutations_) != Effects::none;
  call.sent = call.in_doubt;
  call.stage = static_cast<std::uint8_t>(Stage::absent_meta);
  load_metas(call);
}

// A guarded command found no key in Redis, and did nothing. Its keys are locked.
void Engine::resolve_missing(Call& call) {
  ++c_.counters.absent_checks;
  call.checked = true;
  call.stage = static_cast<std::uint8_t>(Stage::missing_meta);
  load_metas(call);
}

void Engine::load_metas(Call& call) {
  call.metas.resize(call.keys.size());
  call.asked = 0;
  more_metas(call);
}

// False: every key has been asked for.
bool Engine::more_metas(Call& call) {
  if (call.contradicted || call.asked == call.keys.size()) return false;
  const auto end = std::min<std::size_t>(call.keys.size(), call.asked + kMaxLoads);
  for (; call.asked < end; ++call.asked) {
    const StoreToken token = store_token(call, SubKind::meta, call.asked);
    if (c_.fleet != nullptr) {  // a miss is judged by what the whole fleet knows (B6)
      c_.store.load_exact(call.keys[call.asked], token);
    } else {
      c_.store.load_meta(call.keys[call.asked], token);
    }
  }
  return true;
}

void Engine::on_absent_meta(Call& call) {
  const bool missing = static_cast<Stage>(call.stage) == Stage::missing_meta;
  if (call.contradicted) {  // the ledger cannot be read: Redis is all there is
    call.contradicted = false;
    call.ledgerless = true;
    call.metas.assign(call.keys.size(), RowMeta{});
    return send_verification(call);
  }
  for (const FullKey& key : call.keys) {  // written without Redis in the meantime
    if (!c_.debts.has(key)) continue;
    if (missing) return to_standin(call);
    return reroute(call);
  }
  bool live = !call.block.empty();  // what a block finds in Redis must be known in any case
  for (const RowMeta& meta : call.metas) live = live || meta.live_at(c_.now.wall_ms);
  if (live) return send_verification(call);
  if (missing) return go_on_missing(call);
  remember_absent(call);
  remember_absences(call);
  reply_stands(call);
}

// It may have done something all the same: ZADD XX counts no element that it changes.
void Engine::reply_stands(Call& call) {
  if (call.writes()) return record(call, std::string(call.held));
  ++c_.counters.replies_from_redis;
  complete_recorded(call, std::string(call.held));
}

void Engine::send_verification(Call& call) {
  const bool missing = static_cast<Stage>(call.stage) == Stage::missing_meta;
  if (!c_.up() || !shard_.trusted()) {
    if (missing) return to_standin(call);
    return reroute(call);
  }
  call.stage = static_cast<std::uint8_t>(missing ? Stage::missing_verify : Stage::absent_verify);
  call.gone.assign(call.keys.size(), false);
  call.verified_hlc = c_.hlc.next(c_.now.wall_ms);
  const auto deadline = command_deadline_us();
  std::string request;
  for (std::uint32_t i = 0; i < call.keys.size(); ++i) {
    if (call.block.empty() && !call.metas[i].live_at(c_.now.wall_ms)) continue;
    request.clear();
    append_request(request, {"EXISTS", key_of(call.keys[i])});
    c_.upstream->send(request, db_of(call.keys[i]), *this, sub(call, SubKind::verify_exists, i),
                      deadline, 1);
  }
  send_doubts(call);
}

// Has this memory lost anything since the last heartbeat, or evicted anything?
void Engine::send_doubts(Call& call) {
  const auto deadline = command_deadline_us();
  std::string request;
  append_request(request, {"GET", shard_.canary_name()});
  c_.upstream->send(request, call.db, *this, sub(call, SubKind::verify_canary, 0), deadline, 1);
  request.clear();
  append_request(request, {"INFO", "stats"});
  c_.upstream->send(request, call.db, *this, sub(call, SubKind::verify_info, 0), deadline, 1);
}

// Redis, whose heartbeat is intact, lacks a key of the ledger: was it evicted, or removed by
// somebody?
bool Engine::was_lost(const Call& call, std::size_t key_index) {
  const RowMeta& meta = call.metas[key_index];
  const SessionPolicy* policy = policy_of(call);
  return call.unproven || shard_.was_lost(call.keys[key_index], meta, call.evicted_keys) ||
         (policy != nullptr && policy->external_delete_heals) ||
         !c_.rules.external_deletes_are_meant;
}

// What send_doubts() asked has been answered. False: this memory is not the one that was judged.
bool Engine::memory_holds(const Call& call) {
  if (call.contradicted && c_.up()) {
    shard_.suspect("its heartbeat key is not the last one written, or it does not say");
  }
  return !call.contradicted && shard_.trusted();
}

void Engine::on_verified(Call& call) {
  const bool missing = static_cast<Stage>(call.stage) == Stage::missing_verify;
  if (!memory_holds(call)) {
    if (missing) return to_standin(call);
    return reroute(call);
  }
  if (call.ledgerless) {
    const bool unknown = shard_.evicted_since(Mark{}, call.evicted_keys);
    if (unknown) return reply_unknown(call, UnknownPolicy::error);
    if (missing) return send_checked(call);
    ++c_.counters.replies_from_redis;
    return complete(call, call.held);
  }
  if (c_.fleet != nullptr) c_.fleet->note_evicted(call.evicted_keys);
  bool healed = false;
  bool any_gone = false;
  bool lacked = false;
  for (std::uint32_t i = 0; i < call.keys.size(); ++i) {
    const bool live = call.metas[i].live_at(c_.now.wall_ms);
    lacked = lacked || (live && shard_.was_lost(call.keys[i], call.metas[i], call.evicted_keys));
    if (!call.gone[i]) continue;
    any_gone = true;
    if (c_.debts.has(call.keys[i])) {
      healed = true;
      continue;
    }
    const RowMeta& meta = call.metas[i];
    if (!live || (c_.fleet != nullptr && c_.fleet->awaits(call.keys[i], meta))) continue;
    if (was_lost(call, i)) {
      ++c_.counters.lost_keys_healed;
      shard_.owe(call.keys[i], meta.hlc);
      healed = true;
      continue;
    }
    ++c_.counters.external_deletes;
    tomb_keeper_.bury(call.keys[i], call.verified_hlc);
    call.metas[i].state = RowState::tomb;  // for fences
    call.metas[i].hlc = call.verified_hlc;
    call.buried = true;
  }
  if (healed) {
    if (missing) return to_standin(call);
    return reroute(call);
  }
  if (!missing && !any_gone && lacked && !call.rerun) {
    // There after all: written again behind our back, perhaps by a command sent after this one. The
    // row was there before it too, so "absent" may never have been true. It did nothing: once more.
    call.rerun = true;
    call.checked = false;
    return reroute(call);
  }
  // When none was lost before, the reply is true: a field was missing, or one key of several.
  // Once more would be too late, later commands of the client have been executed by now.
  if (!missing) {
    if (any_gone) remember_absent(call);
    return reply_stands(call);
  }
  if (any_gone) return go_on_missing(call);
  send_checked(call);  // it is there after all
}

// The key is absent in truth: the command may create it, unless it is a late save of a dead
// session.
void Engine::go_on_missing(Call& call) {
  for (std::uint32_t i = 0; i < call.keys.size() && call.block.empty(); ++i) {
    if (fenced(call, call.keys[i], call.metas[i])) return answer_fenced(call);
  }
  call.created = call.keys.size() == 1;
  send_checked(call);
}

void Engine::send_checked(Call& call) {
  if (call.block.empty()) return send_write(call);
  send_block(call);
}

// --- R8: fences

bool Engine::fenced(const Call& call, const FullKey& key, const RowMeta& meta) const {
  if (meta.state != RowState::tomb || meta.provisional || !policies_.any_fence()) return false;
  const SessionPolicy* policy = policies_.find(key_of(key));
  if (policy == nullptr || policy->fence == Fence::off) return false;
  const auto& name = call.spec->name;
  if (name == "setnx" || name == "hsetnx") return false;
  if (name == "set") {
    for (std::size_t i = 3; i < call.args.size(); ++i) {
      if (equals_ignore_case(call.args[i], "nx")) return false;
    }
  }
  if (policy->fence == Fence::forever && c_.rules.forever_takes_only_nx) return true;
  if (c_.now.wall_ms - hlc_wall_ms(meta.hlc) > kFenceMs) return false;
  for (const auto& [client, absent_key] : told_absent_) {
    if (client == call.client_id && absent_key == key) return false;
  }
  return true;
}

// Acknowledged and dropped: answered as if it had been done on an absent key.
void Engine::answer_fenced(Call& call) {
  ++c_.counters.fenced_writes;
  struct Scratch final : Workspace {
    KeyMap<Record> records;
    Record& record(std::string_view key) override { return records[FullKey(key)]; }
  } scratch;
  std::string reply;
  if (stand_in_supports(*call.spec, call.args)) {
    std::vector<Mutation> dropped;
    execute({call.spec, &call.args, call.db, c_.now.wall_ms}, scratch, reply, dropped);
  } else {
    write_error(reply, "ERR stayd: this session has been logged out");
  }
  complete(call, reply);
}

// A client that was told ABSENT after the tombstone may open a new session under the key (fence
// 30s).
void Engine::remember_absent(const Call& call) {
  if (!policies_.any_fence() || call.metas.size() != call.keys.size()) return;
  for (std::size_t i = 0; i < call.keys.size(); ++i) {
    if (call.metas[i].state != RowState::tomb) continue;
    told_absent_.emplace_back(call.client_id, call.keys[i]);
    if (told_absent_.size() > kMaxEvidence) told_absent_.pop_front();
  }
}

// --- before the backfill has ended: no row is no proof in an outage, what Redis said is

void Engine::remember_absences(const Call& call) {
  if (adopter_.complete() || !call.block.empty()) return;
  const bool proof = proves_absent(*call.spec, ReplyView(call.held)) && call.keys.size() == 1;
  for (std::size_t i = 0; i < call.keys.size(); ++i) {
    if (call.metas[i].state != RowState::absent) continue;
    if (proof) {
      absences_.remember(call.keys[i]);
    } else {  // a field that is not there, one of several keys
      adopter_.hint(call.keys[i]);
    }
  }
}

void Engine::forget_absences(const Call& call) {
  if (absences_.empty() || !(call.writes() || call.is_block())) return;
  for (const FullKey& key : call.keys) absences_.forget(key);
}

}  // namespace stayd
