// Engine: what Redis refused, and what was on its way when a connection was lost (R9). It is done
// by the stand-in as something new: nobody has seen it yet, as what a connection loses is lost in
// its order, and S may have passed the version it was sent with.
#include <algorithm>
#include <utility>

#include "core/engine.h"
#include "session/effects.h"

namespace stayd {

// True when the reply says that Redis did not execute the command because of its own troubles: the
// stand-in does.
bool Engine::refused(Call& call, std::string_view frame) {
  if (frame[0] != '-') return false;
  const ReplyClass reply_class = classify_reply(frame);
  switch (reply_class) {
    case ReplyClass::shard_out:
    case ReplyClass::elsewhere:
    case ReplyClass::wrong_node:
    case ReplyClass::no_memory:
    case ReplyClass::no_writes:
      if (c_.options.observe) return note_elsewhere(frame), false;
      ++c_.counters.refused_by_redis;
      shard_.note_refusal(reply_class, frame.substr(1));
      if (reply_class == ReplyClass::elsewhere && !c_.place.everything()) note_redirected(call);
      if (call.marked) {
        undo(call, {});
      } else if (call.is_block() || stand_in_supports(*call.spec, call.args)) {
        call.sent = call.is_block();  // of a block a part may have run
        reroute(call);
      } else {  // not done, and nobody else can do it
        fail_unavailable(call);
      }
      return true;
    default:
      return false;
  }
}

void Engine::note_redirected(const Call& call) {
  for (const FullKey& key : call.keys) c_.redirected.add(key, c_.now.mono_us);
}

void Engine::on_upstream_lost(std::uint64_t tag) {
  if (tag & 1) {
    const SubOp op = take_sub(tag);
    Call& call = *op.call;
    if (op.kind == SubKind::read_back) return lose_read_back(call, op.key_index, op.hlc);
    // A check that was not answered: the stand-in decides. A row that could not be asked for is
    // absent.
    if (op.kind != SubKind::adopt_row && op.kind != SubKind::capped) call.contradicted = true;
    if (call.waiting == 0) advance(call);
    return;
  }
  Call& call = *reinterpret_cast<Call*>(static_cast<std::uintptr_t>(tag));
  if (static_cast<Stage>(call.stage) == Stage::removal) {
    // The tombstones stand in the ledger; Redis will be told.
    for (std::uint32_t i = 0; i < call.keys.size(); ++i) {
      if (c_.rules.lost_logouts_are_owed) shard_.owe(call.keys[i], call.hlc + i);
      c_.cache.erase(call.keys[i]);
    }
    // The ledger did not take it either: it holds in memory, and nobody knows what was there.
    if (call.unrecorded) return complete(call, kInDoubt);
    std::string reply;
    const bool many = call.spec->name == "del" || call.spec->name == "unlink";
    write_integer(reply, many ? call.removed : std::min(call.removed, 1u));
    ++c_.counters.replies_from_ledger;
    return complete(call, reply);
  }
  ++c_.counters.in_doubt_commands;
  const auto stage = static_cast<Stage>(call.stage);
  if (stage == Stage::blocking || stage == Stage::watching) {
    watches_.erase(call.client_id);
    return reply_in_doubt(call);
  }
  if (call.pinned) {  // EXEC under WATCH may have run: null makes the client look again, and so do
                      // we
    watches_.erase(call.client_id);
    doubt_rows(call);
    return complete(call, "_\r\n");
  }
  call.in_doubt = true;
  lost_.push_back(&call);
}

// R9: what was in doubt is done again as "state at least this version", in the order it was sent.
void Engine::reroute_lost() {
  if (!c_.rules.in_doubt_is_not_sent_again && !shard_.trusted()) return;
  auto lost = std::move(lost_);
  lost_.clear();
  if (lost.empty()) return;
  for (auto it = lost.rbegin(); it != lost.rend(); ++it) go_first(**it);
  // Nothing else may start, and end, one of these while they are gone through.
  const bool outer = std::exchange(running_ready_, true);
  for (Call* call : lost) reroute(*call);
  running_ready_ = outer;
  run_ready();
}

// What was sent to Redis and is done anew: before anybody else sees what it may have done.
void Engine::go_first(Call& call) {
  c_.keys.remove_in_flight(call);
  if (!call.locks_held) c_.keys.enqueue_front(call);
}

// Answered by a memory that is not trusted any more.
void Engine::redo(Call& call) {
  call.in_doubt = true;
  ++c_.counters.in_doubt_commands;
  go_first(call);
  kick(call.keys);
  reroute(call);
}

// An earlier write of its keys waits to be done anew: what this one would be recorded as, or read
// back, has that in it already.
bool Engine::follows_doubt(const Call& call) {
  if (shard_.trusted()) return false;
  c_.keys.fronts(call.keys, fronts_);
  const bool follows = std::ranges::any_of(fronts_, [](const Call* one) { return one->in_doubt; });
  fronts_.clear();
  return follows;
}

void Engine::reroute(Call& call) {
  if (call.marked) return undo(call, call.sent ? kInDoubt : std::string_view());
  if (call.in_flight) {
    c_.keys.remove_in_flight(call);
    kick(call.keys);
  }
  settle_marks(call);
  call.checked = false;  // what was found out about its keys holds no longer
  call.gone.clear();
  const bool session = is_session(call) && call.spec->handling != Handling::keyspace &&
                       call.spec->handling != Handling::server && !call.keys.empty();
  if (!session || c_.options.observe) {
    reply_in_doubt(call);
  } else if (call.locks_held) {
    to_standin(call);
  } else {
    try_start(call);
  }
}

// What was written to the ledger for this call's sake, and Redis may never do: removals are owed,
// and what became of rows marked stale is asked later.
void Engine::settle_marks(Call& call) {
  for (const auto& sub_call : call.block) {
    for (std::size_t i = 0; i < sub_call->keys.size(); ++i) {
      if (sub_call->marked) adopter_.want(sub_call->keys[i], true);
      if (sub_call->hlc != 0) shard_.owe(sub_call->keys[i], sub_call->hlc + i);
    }
  }
}

// Only Redis can say what became of these keys: until it has, the ledger does not answer for them.
void Engine::doubt_rows(Call& call) {
  for (std::size_t i = 0; i < call.keys.size(); ++i) {
    Mutation stale;
    stale.kind = Mutation::Kind::stale;
    stale.key = call.keys[i];
    stale.unconfirmed = true;
    fill(stale, call.hlc != 0 ? call.hlc + i : c_.hlc.next(c_.now.wall_ms));
    c_.cache.erase(stale.key);
    c_.unrecorded.add(stale.key, stale.hlc, false);  // if the ledger does not take the mark
    c_.store.apply_one(std::move(stale), 0, Durability::written);
    adopter_.want(call.keys[i], true);
  }
}

// Sent, and the stand-in cannot do it again: Redis is asked what became of it before it is trusted.
// Where that may be over, the rows count as behind.
void Engine::leave_in_doubt(Call& call) {
  if (!c_.up()) return shard_.leave(std::exchange(call.slot, InFlightTable::kNone), call.keys);
  for (const FullKey& key : call.keys) c_.unrecorded.add(key, call.hlc, false);
}

void Engine::reply_in_doubt(Call& call) {
  const bool wrote = call.writes() || call.is_block();
  if (!wrote) return fail_unavailable(call);
  if (is_session(call)) doubt_rows(call);
  complete(call, kInDoubt);
}

}  // namespace stayd
