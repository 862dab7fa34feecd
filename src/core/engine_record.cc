// Engine: what Redis did is recorded in the ledger before the client hears of it; where it cannot
// be told from the reply, it is read back from Redis (R17).
#include <algorithm>

#include "base/info.h"
#include "core/engine.h"
#include "core/lua.h"
#include "resp/request_parser.h"
#include "session/effects.h"

namespace stayd {

// The key was not there before this command: what it set is all there is.
void Engine::make_whole(Mutation& mutation) {
  if (mutation.kind == Mutation::Kind::value) mutation.kind = Mutation::Kind::put;
  if (mutation.kind != Mutation::Kind::elements) return;
  HashValue hash;
  SetValue set;
  SortedSetValue zset;
  for (const ElementChange& change : mutation.elements) {
    if (change.removed) return;
    if (mutation.type == ValueType::hash) hash.insert_or_assign(change.name, change.value);
    if (mutation.type == ValueType::set) set.insert(change.name);
    if (mutation.type == ValueType::zset) zset.set(change.name, change.score);
  }
  if (mutation.type == ValueType::hash) mutation.record.value = std::move(hash);
  if (mutation.type == ValueType::set) mutation.record.value = std::move(set);
  if (mutation.type == ValueType::zset) mutation.record.value = std::move(zset);
  mutation.record.expires_at_ms = 0;
  mutation.elements.clear();
  mutation.kind = Mutation::Kind::put;
}

// Seconds begin when Redis gets them. If the reply came late only Redis knows when that was: the
// ledger counts from the question, which is never too long, until Redis has been asked.
void Engine::ask_for_late_expiry(const Call& call) {
  if (c_.now.wall_ms - call.sent_wall_ms <= kClockErrorMs) return;
  for (const Mutation& mutation : mutations_) {
    const bool expires = mutation.record.expires_at_ms != 0;
    if (expires && mutation.kind != Mutation::Kind::tomb) adopter_.want(mutation.key, true);
  }
}

void Engine::record(Call& call, std::string_view frame) {
  ++c_.counters.replies_from_redis;
  mutations_.clear();
  Effects effects = derive_effects(*call.spec, call.args, call.db, ReplyView(frame),
                                   call.sent_wall_ms, mutations_);
  if (effects == Effects::none) {
    c_.keys.remove_in_flight(call);
    return complete_recorded(call, frame);
  }
  call.held.assign(frame);
  call.stage = static_cast<std::uint8_t>(Stage::recording);
  if (effects == Effects::read_back) return read_back_all(call);
  ask_for_late_expiry(call);
  record_mutations(call, mutations_);
}

// What Redis says may rest on a write that the ledger has not recorded yet: nobody is told before,
// or a kill -9 could take back what a client has seen. The ledger reports nothing before what was
// asked for earlier is written, so any answer of it will do.
void Engine::complete_recorded(Call& call, std::string_view frame) {
  if (c_.rules.reads_wait_for_the_ledger && (call.buried || !c_.keys.empty())) {
    for (std::uint32_t i = 0; i < call.keys.size(); ++i) {
      if (!call.buried && c_.keys.in_flight(call.keys[i]) == 0) continue;
      call.held.assign(frame);
      call.stage = static_cast<std::uint8_t>(Stage::recording);
      call.metas.resize(call.keys.size());
      return c_.store.load_meta(call.keys[i], store_token(call, SubKind::meta, i));
    }
  }
  complete(call, frame);
}

void Engine::record_mutations(Call& call, std::vector<Mutation>& mutations) {
  for (std::uint32_t i = 0; i < mutations.size(); ++i) {
    Mutation& mutation = mutations[i];
    if (call.created || !c_.rules.fields_are_not_the_whole) make_whole(mutation);
    mutation.creates = call.created && c_.fleet != nullptr;
    fill(mutation, call.hlc + i);
    mutation.from_client = true;
    note_change(mutation);
    forget_unwritten(call, mutation);
    // Written into a memory that is not trusted any more: the ledger's row is the truth, and is
    // owed.
    if (!shard_.trusted() && !c_.options.observe) shard_.owe(mutation.key, mutation.hlc);
    const auto at = std::find(call.keys.begin(), call.keys.end(), mutation.key);
    const auto index = static_cast<std::uint32_t>(at - call.keys.begin());
    if (c_.cache.size() != 0) c_.cache.erase(mutation.key);
    const bool removal = mutation.kind == Mutation::Kind::tomb;
    call.logged_out = call.logged_out || removal;
    const auto durability = removal ? removal_durability(call) : Durability::written;
    const SubKind kind = removal ? SubKind::removed : SubKind::applied;
    const StoreToken token = c_.rules.replies_wait_for_the_ledger
                                 ? store_token(call, kind, index, mutation.hlc)
                                 : StoreToken{0};
    c_.store.apply_one(std::move(mutation), token, durability);
  }
  if (call.waiting == 0) advance(call);
}

// A write that is newer than a logout the ledger could not take: the key lives again.
void Engine::forget_unwritten(Call& call, const Mutation& mutation) {
  const auto tomb = c_.unwritten_tombs.find(mutation.key);
  if (tomb == c_.unwritten_tombs.end() || mutation.kind == Mutation::Kind::tomb) return;
  if (mutation.hlc <= tomb->second) return;
  call.revived.emplace_back(*tomb);
  c_.unwritten_tombs.erase(tomb);
}

// The stand-in builds on no row that is behind; Redis does not know which are.
void Engine::note_change(const Mutation& mutation) {
  const bool whole = mutation.kind == Mutation::Kind::put || mutation.kind == Mutation::Kind::tomb;
  if (!whole) c_.unrecorded.on_change(mutation.key, mutation.hlc);
}

void Engine::read_back_all(Call& call) {
  for (std::uint32_t i = 0; i < call.keys.size(); ++i) read_back(call, i);
  if (call.waiting == 0) advance(call);
}

void Engine::read_back(Call& call, std::uint32_t key_index) {
  // As of the write: a logout since then stands above it.
  ++c_.counters.read_backs;
  const FullKey& key = call.keys[key_index];
  if (!c_.up()) return lose_read_back(call, key_index, c_.hlc.next(c_.now.wall_ms));
  const Hlc hlc = call.hlc != 0 ? call.hlc + key_index : c_.hlc.next(c_.now.wall_ms);
  std::string request;
  append_read_back(request, key_of(key));
  c_.upstream->send(request, db_of(key), *this, sub(call, SubKind::read_back, key_index, hlc),
                    command_deadline_us(), 1);
}

// Only Redis knows what the key holds now, and may forget it before it is asked: what the client
// was to be told of this write is in doubt.
void Engine::lose_read_back(Call& call, std::uint32_t key_index, Hlc hlc) {
  if (!call.is_block() && effects_need_read_back(*call.spec, call.args)) call.held = kInDoubt;
  Mutation stale;
  stale.kind = Mutation::Kind::stale;
  stale.key = call.keys[key_index];
  fill(stale, hlc);
  c_.store.apply_one(std::move(stale), store_token(call, SubKind::marked, key_index),
                     Durability::written);
  adopter_.want(call.keys[key_index], true);
}

void Engine::on_sub_reply(const SubOp& op, std::string_view frame) {
  Call& call = *op.call;
  switch (op.kind) {
    case SubKind::read_back:
      return record_state(call, op.key_index, ReplyView(frame), op.hlc);
    case SubKind::adopt_row:
      on_adopt_row(call, op, frame);
      break;
    case SubKind::capped:
      if (frame.starts_with(":1")) {
        Mutation expiry;
        expiry.kind = Mutation::Kind::expiry;
        expiry.key = call.keys[op.key_index];
        expiry.record.expires_at_ms = call.lifetime_end_ms;
        fill(expiry, op.hlc);
        c_.store.apply_one(std::move(expiry), store_token(call, SubKind::marked, op.key_index),
                           Durability::written);
        return;
      }
      break;
    case SubKind::verify_exists:
      call.contradicted = call.contradicted || frame[0] == '-';  // refused: nothing is proven
      call.gone[op.key_index] = ReplyView(frame).integer().value_or(0) == 0;
      break;
    case SubKind::verify_canary:
      if (ReplyView(frame).text() != shard_.last_canary(call.db)) call.contradicted = true;
      call.unproven = shard_.last_canary(call.db).empty();
      break;
    case SubKind::verify_info:
      call.contradicted = call.contradicted || frame[0] == '-';
      call.evicted_keys = info_number(ReplyView(frame).text(), "evicted_keys");
      break;
    default:
      break;
  }
  if (call.waiting == 0) advance(call);
}

void Engine::on_applied(std::uint64_t tag, const Error& error, const ApplyResult& result) {
  const SubOp op = take_sub(tag);
  Call& call = *op.call;
  ledger_ok_ = error.message.empty();
  call.outpaced = call.outpaced || result.outcome == ApplyOutcome::outpaced;
  const bool marking = call.marked && static_cast<Stage>(call.stage) == Stage::marking;
  if (marking) {
    ledger_ok_ ? on_marked(call, op, result) : on_unmarked(call, op);
  } else if (!ledger_ok_) {
    on_unrecorded(call, op);
  }
  if (op.kind == SubKind::tombed && result.before.live_at(c_.now.wall_ms) &&
      !c_.unrecorded.removed_since(call.keys[op.key_index], result.before.hlc)) {
    ++call.removed;
  }
  if (op.kind == SubKind::applied && result.outcome == ApplyOutcome::base_unknown) {
    read_back(call, op.key_index);
  } else if (op.kind == SubKind::applied && ledger_ok_) {
    cap_lifetime(call, op.key_index, result.before);
  }
  if (call.waiting == 0) advance(call);
  run_ready();
}

// The ledger failed. Redis, where it answers, has the truth; where it does not, only logouts are
// acknowledged, and hold in memory.
void Engine::on_unrecorded(Call& call, const SubOp& op) {
  ++c_.counters.ledger_errors;
  call.unrecorded = true;
  const bool standin = static_cast<Stage>(call.stage) == Stage::standin_record;
  if (op.kind == SubKind::tombed) {
    ++c_.counters.logouts_degraded;
    tomb_keeper_.add(call.keys[op.key_index], op.hlc);
  } else if (standin && !call.is_block() && is_removal(*call.spec, call.args, c_.now.wall_ms)) {
    ++c_.counters.logouts_degraded;
    for (const FullKey& key : call.keys) tomb_keeper_.add(key, call.hlc);
    if (c_.options.strict_logout) call.held = kNotDurable;
  } else if (standin) {
    call.held = "-ERR stayd: Redis is out and the ledger cannot be written\r\n";
    if (std::exchange(call.in_doubt, false)) leave_in_doubt(call);  // Redis may have done it
    for (const auto& [key, hlc] : call.revived) c_.unwritten_tombs.emplace(key, hlc);
    call.revived.clear();
    for (const FullKey& key : call.keys) {
      c_.cache.erase(key);
      if (call.locks_held) working_.erase(key);
    }
  } else if (op.key_index < call.keys.size()) {
    absences_.forget(call.keys[op.key_index]);
    const Hlc hlc = op.hlc != 0 ? op.hlc : c_.hlc.next(c_.now.wall_ms);
    c_.unrecorded.add(call.keys[op.key_index], hlc, op.kind == SubKind::removed);
  }
}

// I10: a session with an absolute lifetime never lives longer, however often it is touched.
void Engine::cap_lifetime(Call& call, std::uint32_t key_index, const RowMeta& before) {
  const SessionPolicy* policy = policy_of(call);
  if (policy == nullptr || policy->max_lifetime_ms == 0 || !c_.up()) return;
  if (key_index >= call.keys.size()) return;
  const auto start = before.live_at(c_.now.wall_ms) && before.created_at_ms != 0
                         ? before.created_at_ms
                         : c_.now.wall_ms;
  const std::int64_t end = start + policy->max_lifetime_ms;
  const Hlc hlc = c_.hlc.next(c_.now.wall_ms);
  call.lifetime_end_ms = end;
  std::string request;
  append_request(request, {"PEXPIREAT", key_of(call.keys[key_index]),
                           std::to_string(c_.redis_time(end)), "LT"});
  c_.upstream->send(request, db_of(call.keys[key_index]), *this,
                    sub(call, SubKind::capped, key_index, hlc), command_deadline_us(), 1);
}

}  // namespace stayd
