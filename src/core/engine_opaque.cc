// Engine: what only Redis can do: scripts that nobody here knows, LPUSH, SETRANGE, RESTORE (R17).
// Such a command counts only if Redis was trusted from before it was sent until its reply came, and
// held what the ledger knows (R15); otherwise it is undone, as nobody else can do it again:
//
//   rows marked in the ledger ─▶ MULTI: EXISTS of each key, the command, each key's state; EXEC
//     refused, lost, Redis no longer trusted ─────────────────────────▶ undone; an error
//     a key is missing that the ledger knows ─▶ heartbeat, evicted_keys
//        nothing moved: somebody deleted it ──▶ the states are recorded; the reply
//        it was lost: the command ran on nothing ─▶ undone, repaired, once more
//     otherwise ──────────────────────────────────────────────────────▶ the states are recorded;
//     ...
//
// Undone: the rows hold as they were, with the versions of the marks, and are owed (R1b). The keys
// stay locked from the first mark to the reply.
#include <algorithm>
#include <unordered_set>
#include <utility>

#include "core/engine.h"
#include "core/lua.h"
#include "resp/request_parser.h"
#include "session/effects.h"

namespace stayd {

namespace {

// How long a command waits until Redis has what its keys are owed: two round trips as a rule.
constexpr std::int64_t kPayingUs = 250'000;

void drop_repeated(std::vector<FullKey>& keys) {
  std::unordered_set<FullKey> seen;
  if (keys.size() > 1)
    std::erase_if(keys, [&](const auto& key) { return !seen.insert(key).second; });
}

}  // namespace

// Only Redis can say what this does. A row that is known gets a version of its own, above S: if
// this life ends, the next one writes it to Redis, and the command has not been. A row that is not
// known is stale until Redis has told it.
void Engine::mark_opaque(Call& call) {
  // A write that is on its way has a lower version than the mark, and is not recorded yet.
  if (std::any_of(call.keys.begin(), call.keys.end(),
                  [this](const FullKey& key) { return c_.keys.in_flight(key) != 0; })) {
    c_.keys.unlock(call);
    return c_.keys.enqueue_front(call);
  }
  if (!call.locks_held) c_.keys.lock(call);
  drop_repeated(call.keys);
  call.stage = static_cast<std::uint8_t>(Stage::marking);
  call.marked = true;
  call.metas.assign(call.keys.size(), RowMeta{});
  const Hlc first = c_.hlc.reserve(c_.now.wall_ms, call.keys.size());
  hold_position(call, first);
  for (std::uint32_t i = 0; i < call.keys.size(); ++i) {
    Mutation mark;
    mark.kind = Mutation::Kind::doubt;
    mark.unconfirmed = true;
    mark.key = call.keys[i];
    fill(mark, first + i);
    c_.store.apply_one(std::move(mark), store_token(call, SubKind::marked, i, first + i),
                       Durability::written);
  }
}

// What stood in the ledger, now at the mark's version.
void Engine::on_marked(Call& call, const SubOp& op, const ApplyResult& result) {
  RowMeta& meta = call.metas[op.key_index];
  meta = result.before;
  meta.stale = meta.stale || c_.unrecorded.has(call.keys[op.key_index]);
  meta.hlc = op.hlc;
}

// The ledger has refused the mark. What it knows of the key is as good while this life lasts; a
// next one finds the key in the in-flight table.
void Engine::on_unmarked(Call& call, const SubOp& op) {
  ++c_.counters.ledger_errors;
  note_in_flight(call);
  c_.store.load_meta(call.keys[op.key_index], store_token(call, SubKind::meta, op.key_index));
}

void Engine::send_marked(Call& call) {
  if (call.is_block()) return send_block(call);
  shard_.check_heartbeat_gap();
  const bool unknown = std::exchange(call.contradicted, false);  // neither written nor read
  if (unknown || !c_.up() || !shard_.trusted()) return undo(call, {});
  send_opaque(call);
}

void Engine::send_opaque(Call& call) {
  const bool slow = call.spec->handling == Handling::slow_write;
  if (slow && (aux_ == nullptr || !aux_->up())) return undo(call, {});
  call.stage = static_cast<std::uint8_t>(Stage::opaque);
  call.sent = true;
  call.sent_wall_ms = c_.now.wall_ms;
  call.hlc = c_.hlc.reserve(c_.now.wall_ms, call.keys.size());
  note_making(call);
  request_.assign("*1\r\n$5\r\nMULTI\r\n");
  std::size_t queued = 1 + 2 * call.keys.size();
  for (const FullKey& key : call.keys) {
    queued += select(call, key, false);
    append_request(request_, {"EXISTS", key_of(key)});
    queued += select(call, key, true);
  }
  request_.append(call.raw);
  for (const FullKey& key : call.keys) {
    queued += select(call, key, false);
    append_read_back(request_, key_of(key));
    queued += select(call, key, true);
  }
  request_.append("*1\r\n$4\r\nEXEC\r\n");
  c_.counters.read_backs += call.keys.size();
  // A script may take its time, as other slow commands do.
  const bool may_be_slow = slow || call.spec->handling == Handling::script;
  Upstream& upstream = slow ? *aux_ : *c_.upstream;
  upstream.send(request_, call.db, *this, reinterpret_cast<std::uintptr_t>(&call),
                may_be_slow ? slow_deadline_us() : command_deadline_us(),
                static_cast<std::uint32_t>(2 + queued));
}

// COPY and MOVE have a key in another database: its commands stand between two SELECTs.
bool Engine::select(const Call& call, const FullKey& key, bool back) {
  if (db_of(key) == call.db) return false;
  append_request(request_, {"SELECT", std::to_string(back ? call.db : db_of(key))});
  return true;
}

bool Engine::next_of(const Call& call, const FullKey& key, ReplyView::Elements& elements,
                     ReplyView& element) {
  ReplyView selected;
  const bool elsewhere = db_of(key) != call.db;
  if (elsewhere && !elements.next(selected)) return false;
  if (!elements.next(element)) return false;
  return !elsewhere || elements.next(selected);
}

void Engine::on_opaque(Call& call, std::string_view frame) {
  ReplyClass reply_class = classify_reply(frame);
  if (frame.starts_with("-EXECABORT")) return send_alone(call);                 // not done
  if (frame[0] == '-' && !is_trouble(reply_class)) return undo(call, kDenied);  // MULTI was
  auto elements = ReplyView(frame).elements();
  const bool missing = find_missing(call, elements);
  ReplyView reply;
  if (elements.next(reply)) reply_class = classify_reply(reply.frame());
  if (is_trouble(reply_class)) {
    ++c_.counters.refused_by_redis;
    shard_.note_refusal(reply_class, (frame[0] == '-' ? frame : reply.frame()).substr(1));
    return undo(call, {});
  }
  shard_.check_heartbeat_gap();
  if (!c_.up() || !shard_.trusted()) return undo(call, kNotTrusted);
  if (!missing) return record_states(call, frame);
  ++c_.counters.absent_checks;
  call.held.assign(frame);
  call.contradicted = false;
  call.stage = static_cast<std::uint8_t>(Stage::opaque_verify);
  send_doubts(call);
}

// Redis has refused a command of the block, and says of the block only that. Alone the command says
// why; if it runs, one of ours was refused, and what it did to the keys cannot be judged.
void Engine::send_alone(Call& call) {
  Upstream* upstream = call.spec->handling == Handling::slow_write ? aux_ : c_.upstream;
  if (!upstream->up()) return undo(call, {});
  call.stage = static_cast<std::uint8_t>(Stage::opaque_alone);
  upstream->send(call.raw, call.db, *this, reinterpret_cast<std::uintptr_t>(&call),
                 slow_deadline_us(), 1);
}

void Engine::on_alone(Call& call, std::string_view frame) {
  if (frame[0] != '-') return undo(call, kDenied);
  const ReplyClass reply_class = classify_reply(frame);
  if (!is_trouble(reply_class)) return undo(call, frame);
  ++c_.counters.refused_by_redis;
  shard_.note_refusal(reply_class, frame.substr(1));
  undo(call, {});
}

// Takes the replies to EXISTS: true when Redis lacked a key that the ledger knows.
bool Engine::find_missing(Call& call, ReplyView::Elements& elements) const {
  bool missing = false;
  call.gone.assign(call.keys.size(), false);
  ReplyView exists;
  for (std::size_t i = 0; i < call.keys.size(); ++i) {
    if (!next_of(call, call.keys[i], elements, exists)) break;
    const RowMeta& meta = call.metas[i];
    const bool live = meta.live_at(c_.now.wall_ms) && !meta.stale;
    call.gone[i] = live && exists.integer() == 0 && c_.rules.absence_is_guarded;
    missing = missing || call.gone[i];
  }
  return missing;
}

void Engine::judge_missing(Call& call) {
  if (!memory_holds(call)) return undo(call, kNotTrusted);
  for (std::size_t i = 0; i < call.keys.size(); ++i) {
    if (!call.gone[i]) continue;
    if (!was_lost(call, i)) {
      ++c_.counters.external_deletes;
      continue;
    }
    ++c_.counters.lost_keys_healed;
    if (c_.shared && call.metas[i].adopted) {  // such a row gives way to what Redis holds: to ours
      std::string request;
      append_request(request, {"UNLINK", key_of(call.keys[i])});
      c_.upstream->send(request, db_of(call.keys[i]), swallow_, 0, command_deadline_us());
    }
    call.rerun = true;
  }
  if (call.rerun) return undo(call, {});
  record_states(call, std::exchange(call.held, {}));
}

void Engine::record_states(Call& call, std::string_view frame) {
  const std::string whole(frame);
  auto elements = ReplyView(whole).elements();
  ReplyView element;
  for (const FullKey& key : call.keys) next_of(call, key, elements, element);
  elements.next(element);
  ++c_.counters.replies_from_redis;
  call.held.assign(element.frame());
  call.stage = static_cast<std::uint8_t>(Stage::recording);
  for (std::uint32_t i = 0; i < call.keys.size(); ++i) {
    if (!next_of(call, call.keys[i], elements, element)) break;
    record_state(call, i, element, call.hlc + i);
  }
}

// What a read-back found becomes the row, as of `hlc`.
void Engine::record_state(Call& call, std::uint32_t key_index, const ReplyView& state, Hlc hlc) {
  auto record = parse_read_back(state, c_.redis_offset_ms);
  Mutation mutation;
  mutation.key = call.keys[key_index];
  if (!record) {  // NOSCRIPT or refused: only Redis knows, ask again later
    mutation.kind = Mutation::Kind::stale;
    adopter_.want(mutation.key, true);
  } else if (record->exists()) {
    mutation.record = std::move(*record);
  } else {
    mutation.kind = Mutation::Kind::tomb;
  }
  fill(mutation, hlc);
  if (mutation.kind == Mutation::Kind::put) forget_unwritten(call, mutation);
  c_.cache.erase(mutation.key);
  c_.store.apply_one(std::move(mutation), store_token(call, SubKind::marked, key_index),
                     Durability::written);
}

// The rows hold as they were before the marks; what Redis may have made of them is overwritten. The
// call then goes on (on_undone), with `error` when nobody else can do it. A row that was not known
// before is asked for later.
void Engine::undo(Call& call, std::string_view error) {
  c_.keys.remove_in_flight(call);
  call.held.assign(error);
  call.stage = static_cast<std::uint8_t>(Stage::undoing);
  ++call.waiting;
  for (std::uint32_t i = 0; i < call.keys.size(); ++i) {
    const FullKey& key = call.keys[i];
    const RowMeta& meta = call.metas[i];
    const bool new_here = meta.state == RowState::absent;
    c_.cache.erase(key);
    const bool marked = meta.hlc != 0;
    if (meta.stale || (new_here && call.sent && !(marked && adopter_.complete()))) {
      adopter_.want(key, true);
    } else if (new_here) {
      if (!marked) continue;
      Mutation as_before;
      as_before.key = key;
      as_before.kind = adopter_.complete() ? Mutation::Kind::tomb : Mutation::Kind::forget;
      fill(as_before, c_.hlc.next(c_.now.wall_ms));
      if (call.sent) shard_.owe(key, as_before.hlc);
      c_.store.apply_one(std::move(as_before), store_token(call, SubKind::marked, i),
                         Durability::written);
    } else if (call.sent) {
      shard_.owe(key, meta.hlc);
    }
  }
  if (--call.waiting == 0) on_undone(call);
}

void Engine::on_undone(Call& call) {
  call.marked = call.sent = false;
  call.unrecorded = false;
  const bool rerun = std::exchange(call.rerun, false);
  if (rerun) return start(call);  // waits while its keys are owed
  if (stand_in_supports(*call.spec, call.args)) return to_standin(call);
  if (call.held.empty()) return fail_unavailable(call);
  complete(call, call.held);
}

// True when the call, which nobody but a Redis that has its keys can do, waits for that.
bool Engine::waits_for_debts(Call& call) {
  const bool owed = std::any_of(call.keys.begin(), call.keys.end(),
                                [this](const FullKey& key) { return c_.debts.has(key); });
  if (!owed || call.is_block() || !c_.up() || !shard_.trusted() || shard_.writes_refused() ||
      c_.now.mono_us - call.submitted_us > kPayingUs) {
    return false;
  }
  if (!call.locks_held) c_.keys.lock(call);
  call.stage = static_cast<std::uint8_t>(Stage::paying);
  paying_.push_back(&call);
  return true;
}

void Engine::retry_paying() {
  auto paying = std::exchange(paying_, {});
  for (Call* call : paying) start(*call);
  run_ready();
}

}  // namespace stayd
