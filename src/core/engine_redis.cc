// Engine: the way through a TRUSTED Redis. Redis decides, then the ledger records, then the client
// is told; for logouts the ledger comes first (R6).
#include <algorithm>
#include <utility>

#include "base/info.h"
#include "core/engine.h"
#include "core/lua.h"
#include "core/side_keys.h"
#include "session/effects.h"

namespace stayd {

namespace {

// RANDOMKEY that meets stayd's own key is asked again; then the database holds no other, likely.
constexpr std::uint32_t kRandomKeyTries = 64;

bool has_option(const Args& args, std::size_t from, std::string_view lower) {
  for (std::size_t i = from; i < args.size(); ++i) {
    if (equals_ignore_case(args[i], lower)) return true;
  }
  return false;
}

// A command that must not run on a key which Redis has merely lost (R15).
bool needs_guard(const Call& call) {
  if (call.keys.size() != 1 || call.args.size() > kMaxGuardedArgs) return false;
  const auto name = call.spec->name;
  return call.spec->guard || name == "getset" ||
         (name == "set" && (has_option(call.args, 3, "nx") || has_option(call.args, 3, "get")));
}

bool is_counter(const CommandSpec& spec) {
  return spec.name == "incr" || spec.name == "decr" || spec.name == "incrby" ||
         spec.name == "decrby" || spec.name == "hincrby";
}

// SET k v of a fenced key: a late save must not revive a logged-out session (R6, F57).
bool needs_fence(const Call& call) {
  const auto name = call.spec->name;
  return (name == "set" && !has_option(call.args, 3, "nx") && !has_option(call.args, 3, "xx")) ||
         name == "setex" || name == "psetex";
}

}  // namespace

void Engine::to_redis(Call& call) {
  const Handling handling = call.spec->handling;
  forget_absences(call);
  if (call.is_block()) return send_block(call);
  const bool opaque = !c_.options.observe && effects_need_read_back(*call.spec, call.args) &&
                      !stand_in_supports(*call.spec, call.args);
  if (opaque && handling == Handling::slow_write) return mark_opaque(call);
  if (handling == Handling::slow_read || handling == Handling::slow_write) return to_aux(call);
  if (handling == Handling::read) {
    call.stage = static_cast<std::uint8_t>(Stage::read);
    c_.upstream->send(call.raw, call.db, *this, reinterpret_cast<std::uintptr_t>(&call),
                      command_deadline_us(), 1, order_of(call));
    return;
  }
  if (!c_.options.observe) {
    // GETDEL's reply is the value that goes: Redis first, then the tombstone, then the client.
    if (is_removal(*call.spec, call.args, c_.now.wall_ms) && call.spec->name != "getdel") {
      return start_removal(call);
    }
    if (c_.rules.absence_is_guarded && needs_guard(call)) {
      if (call.spec->name != "bitfield" && note_in_flight(call)) return send_guarded(call);
      c_.keys.lock(call);  // its reply would not survive a script: 64-bit numbers, nulls in a list
      return resolve_missing(call);
    }
    const bool fenced = c_.rules.late_saves_are_fenced && policies_.any_fence() &&
                        policy_of(call)->fence != Fence::off;
    if ((fenced || c_.fleet != nullptr) && needs_fence(call)) {
      if (note_in_flight(call)) return send_fenced_set(call);
      c_.keys.lock(call);
      return resolve_missing(call);
    }
    if (opaque) return mark_opaque(call);
  }
  send_write(call);
}

// Every write of a session stands in the in-flight table from before it is sent until the ledger
// has recorded it, unless its rows are marked stale. False: there is no room for it.
bool Engine::note_in_flight(Call& call) {
  if (call.slot != InFlightTable::kNone || call.keys.empty()) return true;
  call.slot = c_.in_flight.begin(call.keys);
  if (call.slot == InFlightTable::kNone) ++c_.counters.unnoted_writes;
  return call.slot != InFlightTable::kNone;
}

void Engine::send_write(Call& call) {
  if (!c_.up()) return reroute(call);
  if (!note_in_flight(call)) return mark_opaque(call);
  call.stage = static_cast<std::uint8_t>(Stage::write);
  call.sent_wall_ms = c_.now.wall_ms;
  call.hlc = c_.hlc.reserve(c_.now.wall_ms, call.args.size());
  note_making(call);
  call.sent = true;
  c_.keys.add_in_flight(call);
  // A script that only Redis can run may take its time, as other slow commands do.
  const bool may_be_slow =
      call.spec->handling == Handling::script && !stand_in_supports(*call.spec, call.args);
  Upstream& upstream = c_.rules.one_connection || call.submitted_order % 2 == 0 || !aux_->up()
                           ? *c_.upstream
                           : *aux_;
  upstream.send(call.raw, call.db, *this, reinterpret_cast<std::uintptr_t>(&call),
                may_be_slow ? slow_deadline_us() : command_deadline_us(), 1, order_of(call));
  // What is read back stays locked until then.
  if (effects_need_read_back(*call.spec, call.args)) return;
  if (call.locks_held) {
    c_.keys.unlock(call);
    kick(call.keys);
  }
}

// A write that does nothing when its key is missing: its reply tells.
void Engine::send_conditional(Call& call, std::string_view request) {
  c_.keys.lock(call);
  c_.keys.add_in_flight(call);
  call.stage = static_cast<std::uint8_t>(Stage::guard);
  call.sent_wall_ms = c_.now.wall_ms;
  call.hlc = c_.hlc.reserve(c_.now.wall_ms, call.args.size());
  note_making(call);
  call.sent = true;
  c_.upstream->send(request, call.db, *this, reinterpret_cast<std::uintptr_t>(&call),
                    command_deadline_us(), 1, order_of(call));
}

void Engine::send_guarded(Call& call) {
  request_.clear();
  append_guarded(request_, key_of(call.keys[0]), call.args);
  send_conditional(call, request_);
}

void Engine::send_fenced_set(Call& call) {
  request_.clear();
  if (call.spec->name == "set") {
    Args args = call.args;
    args.push_back("XX");
    append_request(request_, args);
  } else {
    const auto unit = call.spec->name == "setex" ? "EX" : "PX";
    append_request(request_, {"SET", call.args[1], call.args[3], unit, call.args[2], "XX"});
  }
  send_conditional(call, request_);
}

void Engine::to_aux(Call& call) {
  if (aux_ == nullptr || !aux_->up()) return fail_unavailable(call);
  const bool mirrored = call.writes() && is_session(call);
  if (mirrored && !note_in_flight(call)) return mark_opaque(call);
  if (!call.locks_held) c_.keys.lock(call);
  call.stage = static_cast<std::uint8_t>(Stage::aux);
  call.sent_wall_ms = c_.now.wall_ms;
  call.hlc = c_.hlc.reserve(c_.now.wall_ms, call.args.size());
  note_making(call);
  call.sent = call.writes();
  if (mirrored) hold_position(call, call.hlc);
  aux_->send(call.raw, call.db, *this, reinterpret_cast<std::uintptr_t>(&call), slow_deadline_us(),
             1);
}

// --- logouts: TOMB in the ledger, then UNLINK in Redis, then the client

Durability Engine::removal_durability(const Call& call) const {
  if (!c_.rules.logouts_are_synced) return Durability::written;
  const bool locks_only = std::all_of(call.keys.begin(), call.keys.end(), [&](const FullKey& key) {
    const SessionPolicy* policy = policies_.find(key_of(key));
    return policy != nullptr && policy->key_class == KeyClass::lock;
  });
  return locks_only ? Durability::written : Durability::synced;
}

void Engine::start_removal(Call& call) {
  if (c_.rules.logouts_hold_their_keys) c_.keys.lock(call);
  call.stage = static_cast<std::uint8_t>(Stage::tomb);
  call.hlc = c_.hlc.reserve(c_.now.wall_ms, call.keys.size());
  note_making(call);
  hold_position(call, call.hlc);
  for (std::uint32_t i = 0; i < call.keys.size(); ++i) {
    Mutation tomb;
    tomb.kind = Mutation::Kind::tomb;
    tomb.key = call.keys[i];
    fill(tomb, call.hlc + i);
    c_.store.apply_one(std::move(tomb), store_token(call, SubKind::tombed, i, call.hlc + i),
                       removal_durability(call));
  }
  c_.counters.logouts += call.keys.size();
}

void Engine::send_removal(Call& call) {
  call.stage = static_cast<std::uint8_t>(Stage::removal);
  if (!c_.up() || !shard_.trusted())
    return on_upstream_lost(reinterpret_cast<std::uintptr_t>(&call));
  c_.keys.add_in_flight(call);
  if (c_.fleet != nullptr) drop_leases(call);
  // Its keys stay locked: where Redis denies it, nothing must have run behind it on what is there.
  c_.upstream->send(call.raw, call.db, *this, reinterpret_cast<std::uintptr_t>(&call),
                    command_deadline_us(), 1, order_of(call));
}

void Engine::on_removal(Call& call, std::string_view frame) {
  const ReplyClass reply_class = classify_reply(frame);
  if (reply_class != ReplyClass::ordinary) {
    ++c_.counters.refused_by_redis;
    shard_.note_refusal(reply_class, frame.substr(1));
    return on_upstream_lost(reinterpret_cast<std::uintptr_t>(&call));
  }
  // Redis may have lost keys that the ledger knew: they were logged out all the same.
  const auto count = ReplyView(frame).integer();
  const auto& name = call.spec->name;
  if (count && (name == "del" || name == "unlink") &&
      *count < static_cast<std::int64_t>(call.removed)) {
    std::string reply;
    write_integer(reply, call.removed);
    return tell_removed(call, reply);
  }
  const bool unseen = c_.fleet != nullptr && !call.unrecorded && count &&
                      (name == "del" || name == "unlink") &&
                      *count > static_cast<std::int64_t>(call.removed);
  if (unseen && call.keys.size() == 1) return bury_unseen(call, frame);
  ++c_.counters.replies_from_redis;
  tell_removed(call, frame);
}

// At once, or when replicas have it too. Locks come and go all the time, and are not waited for.
void Engine::tell_removed(Call& call, std::string_view reply) {
  const bool waits = logout_wait_.on() && shard_.trusted() && !c_.options.observe &&
                     removal_durability(call) == Durability::synced;
  if (!waits) return complete(call, reply);
  if (reply.data() != call.held.data()) call.held.assign(reply);
  call.stage = static_cast<std::uint8_t>(Stage::waited);
  let_go(call);
  logout_wait_.add(call, shard_.aux_is_beside());
}

// --- replies

void Engine::on_upstream_reply(std::uint64_t tag, std::string_view frame) {
  handle_reply(tag, frame);
  run_ready();
}

void Engine::handle_reply(std::uint64_t tag, std::string_view frame) {
  if (tag & 1) {
    on_sub_reply(take_sub(tag), frame);
    return;
  }
  Call& call = *reinterpret_cast<Call*>(static_cast<std::uintptr_t>(tag));
  switch (static_cast<Stage>(call.stage)) {
    case Stage::read:
      return on_read(call, frame);
    case Stage::write:
    case Stage::guard:
      return on_write(call, frame);
    case Stage::removal:
      return on_removal(call, frame);
    case Stage::block:
      return on_block(call, frame);
    case Stage::opaque:
      return on_opaque(call, frame);
    case Stage::opaque_alone:
      return on_alone(call, frame);
    case Stage::aux:
      return on_aux(call, frame);
    case Stage::flush:
      return on_flush(call, frame);
    case Stage::blind:
      return on_blind(call, frame);
    case Stage::blocking:
      return on_blocking(call, frame);
    default: {
      const ReplyClass reply_class = classify_reply(frame);
      if (is_out(reply_class)) {
        shard_.note_refusal(reply_class, frame.substr(1));
        const bool redirected = reply_class == ReplyClass::elsewhere && !c_.place.everything();
        if (!redirected) return fail_unavailable(call);
        const auto watch = watches_.find(call.client_id);
        const bool watching = static_cast<Stage>(call.stage) == Stage::watching;
        if (!watching || watch == watches_.end()) return complete(call, frame);
        watch->second.in_doubt = true;  // EXEC is null
        return complete(call, "+OK\r\n");
      }
      ++c_.counters.replies_from_redis;
      return complete(call, frame);
    }
  }
}

void Engine::on_read(Call& call, std::string_view frame) {
  if (refused(call, frame)) return;
  if (c_.options.observe) {
    ++c_.counters.replies_from_redis;
    return complete(call, frame);
  }
  shard_.check_heartbeat_gap();
  if (!shard_.trusted()) return reroute(call);
  const auto took = static_cast<double>(c_.now.mono_us - call.submitted_us);
  p99_us_ = took > p99_us_ ? took : p99_us_ * 0.9995;
  if (needs_proof(call, frame)) return check_absent(call, frame);
  ++c_.counters.replies_from_redis;
  if (!adopter_.complete() && call.keys.size() == 1) {
    absences_.forget(call.keys[0]);  // there after all
    adopter_.hint(call.keys[0]);
  }
  complete_recorded(call, frame);
}

// What depends on what Redis holds counts only in a memory that is trusted when the reply comes. In
// another one it ran on whatever that holds: the stand-in does it, and Redis will be told.
bool Engine::memory_is_judged() {
  shard_.check_heartbeat_gap();
  return c_.options.observe || shard_.trusted() || !c_.rules.unjudged_writes_are_redone;
}

void Engine::on_write(Call& call, std::string_view frame) {
  if (refused(call, frame)) return;
  const bool guarded = static_cast<Stage>(call.stage) == Stage::guard;
  std::string number;
  if (guarded && is_counter(*call.spec) && frame[0] == '+') {
    number = frame;  // an integer that is too long for a script's reply (lua.cc)
    number[0] = ':';
    frame = number;
  }
  const ReplyClass reply_class = classify_reply(frame);
  if (guarded && reply_class == ReplyClass::no_script) {
    request_.clear();
    const auto loads =
        static_cast<std::uint32_t>(append_script_loads(request_, c_.fleet != nullptr));
    c_.upstream->send(request_, -1, swallow_, 0, command_deadline_us(), loads);
    c_.keys.remove_in_flight(call);
    c_.keys.unlock(call);
    return send_guarded(call);
  }
  const bool fenced_nil = guarded && frame[0] == '_' && !needs_guard(call);
  if (reply_class == ReplyClass::guard_miss || fenced_nil) {
    c_.keys.remove_in_flight(call);
    call.sent = false;  // it did nothing
    return resolve_missing(call);
  }
  if ((guarded || needs_guard(call) || follows_doubt(call)) && !memory_is_judged()) {
    return redo(call);
  }
  if (guarded && call.locks_held) {
    c_.keys.unlock(call);
    kick(call.keys);
  }
  if (!guarded && !c_.options.observe && !call.checked && !needs_guard(call) &&
      needs_proof(call, frame)) {
    return check_absent(call, frame);
  }
  record(call, frame);
}

void Engine::on_aux(Call& call, std::string_view frame) {
  if (is_session(call) && refused(call, frame)) return;
  if (call.writes() && is_session(call)) {
    return memory_is_judged() ? record(call, frame) : redo(call);
  }
  ++c_.counters.replies_from_redis;
  if (call.spec->handling == Handling::keyspace) {
    if (call.spec->name == "randomkey" && is_side_key(ReplyView(frame).text()) &&
        ++call.removed < kRandomKeyTries && aux_->up()) {
      return aux_->send(call.raw, call.db, *this, reinterpret_cast<std::uintptr_t>(&call),
                        slow_deadline_us(), 1);
    }
    const std::string visible = without_side_keys(call, frame);
    return complete(call, visible);
  }
  complete_recorded(call, frame);
}

}  // namespace stayd
