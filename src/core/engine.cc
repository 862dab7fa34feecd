#include "core/engine.h"

#include <algorithm>
#include <utility>

#include "core/fleet_view.h"
#include "core/side_keys.h"
#include "session/effects.h"
#include "session/scripts.h"

namespace stayd {

Engine::Engine(EngineOptions options, PolicyTable policies, Store& store, Counters& counters,
               EventSink& events, Random& random, HlcClock* clock)
    : c_(std::move(options), store, counters, events, random,
         clock == nullptr ? own_clock_ : *clock),
      policies_(std::move(policies)),
      shard_(c_, *this),
      adopter_(c_, shard_, *this),
      tomb_keeper_(c_),
      logout_wait_(c_, *this),
      replica_reads_(c_, *this),
      aux_side_(*this) {
  store.set_events(&c_.ops);
}

void Engine::attach(Upstream& data, Upstream& aux, Pinned* pinned, Replica* replica) {
  c_.upstream = &data;
  aux_ = &aux;
  logout_wait_.attach(aux);
  replica_reads_.attach(replica, aux);
  pinned_ = pinned;
}

Engine::~Engine() = default;

void Engine::start(Now now) {
  c_.now = now;
  c_.instance = c_.store.fact("instance");
  if (c_.instance.empty()) {
    c_.instance = std::to_string(c_.random.next());
    c_.store.put_fact("instance", c_.instance);
  }
  shard_.start();
  adopter_.start();
  replica_reads_.start();
}

void Engine::on_tick(Now now) {
  c_.now = now;
  if (c_.fleet != nullptr) c_.fleet->on_tick();
  shard_.on_tick();
  adopter_.on_tick(shard_.trusted());
  tomb_keeper_.on_tick();
  logout_wait_.on_tick();
  replica_reads_.on_tick(shard_.last_beat_ok_ms(), shard_.trust());
  c_.redirected.on_tick(now.mono_us);
  if (!paying_.empty()) retry_paying();
  if (!c_.rules.late_replies_condemn) reroute_lost();
  if (adopter_.complete() || c_.shared) absences_.clear();
  if (!holding_.empty()) {
    auto holding = std::move(holding_);
    holding_.clear();
    const bool again = shard_.trusted() || replica_reads_.take_arrival();
    for (Call* call : holding) {
      if (now.mono_us - call->submitted_us > c_.options.hold_ms * 1000) {
        reply_unknown(*call, UnknownPolicy::error);
      } else if (again) {
        try_start(*call);
      } else {
        holding_.push_back(call);
      }
    }
    run_ready();
  }
  c_.store.submit();
}

// --- where a call goes

const SessionPolicy* Engine::policy_of(const Call& call) const {
  static const SessionPolicy kEverything{};
  if (policies_.everything_is_a_session()) return &kEverything;
  for (const FullKey& key : call.keys) {
    if (const SessionPolicy* policy = policies_.find(key_of(key))) return policy;
  }
  return nullptr;
}

bool Engine::goes_to_redis(const Call& call) const {
  if (c_.options.observe) return c_.up();
  if (!shard_.trusted() || !c_.up()) return false;
  const auto elsewhere = [this](const FullKey& key) { return c_.redirected.has(key); };
  if (std::ranges::any_of(call.keys, elsewhere)) return false;
  if (c_.rules.debts_hide_redis && !c_.debts.empty()) {
    for (const FullKey& key : call.keys) {
      if (c_.debts.has(key)) return false;
    }
  }
  if (!shard_.writes_refused()) return true;
  const auto writes = [](const Call& one) { return one.writes(); };
  const bool any = writes(call) || std::any_of(call.block.begin(), call.block.end(),
                                               [&](const auto& sub) { return writes(*sub); });
  if (!any) return true;
  return !shard_.deletes_refused() && !call.is_block() &&
         is_removal(*call.spec, call.args, c_.now.wall_ms);
}

// --- routing

void Engine::submit(Call& call) {
  ++under_way_;
  call.submitted_order = ++order_;
  call.submitted_us = c_.now.mono_us;
  shard_.check_heartbeat_gap();
  switch (call.spec->handling) {
    case Handling::read:
    case Handling::write:
    case Handling::slow_read:
    case Handling::slow_write:
    case Handling::script:
      if (!collect_keys(call) && !c_.up() && call.spec->handling != Handling::script) {
        complete(call, "-ERR Invalid arguments specified for command\r\n");
        return;
      }
      break;  // without keys Redis says what is wrong with it
    case Handling::transaction:
      if (call.spec->name != "exec") {
        submit_pinned(call);
        run_ready();
        return;
      }
      collect_block_keys(call);
      break;
    case Handling::blocking:
      submit_pinned(call);
      run_ready();
      return;
    default:
      submit_keyless(call);
      run_ready();
      return;
  }
  for (const FullKey& key : call.keys) {
    if (is_side_key(key_of(key))) {
      complete(call, "-ERR stayd: keys that start with 'stayd:{' are its own\r\n");
      return;
    }
  }
  if (call.keys.empty() && !call.is_block()) {
    submit_keyless(call);
  } else {
    try_start(call);
  }
  run_ready();
}

void Engine::try_start(Call& call) {
  const bool slow =
      call.spec->handling == Handling::slow_read || call.spec->handling == Handling::slow_write;
  // A logout's tombstone counts what the ledger holds: writes before it must stand there.
  const bool logout = !c_.keys.empty() && is_removal(*call.spec, call.args, c_.now.wall_ms);
  const bool alone = c_.rules.slow_roads_start_alone &&
                     (slow || logout || depends_on_absence(call) || call.pinned ||
                      (is_session(call) && !goes_to_redis(call)));
  if (!c_.keys.may_start(call, alone)) {
    call.stage = static_cast<std::uint8_t>(Stage::waiting);
    c_.keys.enqueue(call);
    return;
  }
  if (call.queued) {
    c_.keys.dequeue(call);
    kick(call.keys);  // tried after this one has started, and taken its locks if it needs them
  }
  start(call);
}

void Engine::start(Call& call) {
  if (!is_session(call)) {
    if (!c_.up()) return fail_unavailable(call);
    if (call.is_block()) return send_block(call);
    if (call.spec->handling == Handling::slow_read || call.spec->handling == Handling::slow_write) {
      return to_aux(call);
    }
    call.stage = static_cast<std::uint8_t>(Stage::passthrough);
    c_.upstream->send(call.raw, call.db, *this, reinterpret_cast<std::uintptr_t>(&call),
                      command_deadline_us(), 1, order_of(call));
    return;
  }
  if (goes_to_redis(call)) {
    to_redis(call);
  } else if (c_.options.observe) {
    fail_unavailable(call);
  } else {
    to_standin(call);
  }
}

void Engine::kick(const std::vector<FullKey>& keys) {
  if (c_.keys.empty()) return;
  c_.keys.fronts(keys, fronts_);
  for (Call* call : fronts_) {
    if (call->listed) continue;
    call->listed = true;
    ready_.push_back(call);
  }
  fronts_.clear();
}

void Engine::run_ready() {
  if (running_ready_) return;
  running_ready_ = true;
  while (!ready_.empty()) {
    Call* call = ready_.front();
    ready_.pop_front();
    call->listed = false;
    if (call->queued) try_start(*call);
  }
  running_ready_ = false;
}

void Engine::complete(Call& call, std::string_view reply) {
  --under_way_;
  let_go(call);
  if (may_follow(call) && is_redirection(reply)) {
    slot_events_->on_redirected(call, reply);
  } else {
    call.sink->on_reply(call, reply);
  }
  run_ready();
}

// What is left of it is its reply: others may have its keys, and S passes it.
void Engine::let_go(Call& call) {
  if (call.slot != InFlightTable::kNone) {
    c_.in_flight.end(std::exchange(call.slot, InFlightTable::kNone));
  }
  if (call.made_from != 0) c_.making.erase(c_.making.find(std::exchange(call.made_from, 0)));
  if (call.held_from != 0) shard_.release_position(std::exchange(call.held_from, 0));
  if (call.listed) {
    std::erase(ready_, &call);
    call.listed = false;
  }
  if (call.locks_held || call.in_flight || call.queued) {
    release_rows(call);
    c_.keys.unlock(call);
    c_.keys.remove_in_flight(call);
    c_.keys.dequeue(call);
  }
  kick(call.keys);  // its last write may have left the table before
}

void Engine::fail_unavailable(Call& call) {
  if (call.spec->name == "eval" || call.spec->name == "evalsha") {
    return complete(call, "-" + std::string(script_refusal(call.args)) + "\r\n");
  }
  ++c_.counters.unavailable_replies;
  complete(call, "-ERR stayd: Redis is unavailable\r\n");
}

std::int64_t Engine::command_deadline_us() const {
  const auto adaptive = static_cast<std::int64_t>(4 * p99_us_);
  return c_.now.mono_us + std::clamp(adaptive, c_.options.command_deadline_ms * 1000,
                                     c_.options.command_deadline_max_ms * 1000);
}

void Engine::fill(Mutation& mutation, Hlc hlc) const {
  mutation.hlc = hlc;
  mutation.mark = c_.mark;
  if (mutation.kind == Mutation::Kind::tomb) {
    mutation.tomb_until_ms = c_.now.wall_ms + kTombstoneMinMs + c_.options.max_island_ms;
    if (!c_.rules.tombstones_outlive_copies) mutation.tomb_until_ms = c_.now.wall_ms + 1000;
  }
}

// Versions from `hlc` on stand in the ledger before Redis has heard of them, or go to Redis past
// the data connection: no heartbeat may say that they have arrived before the call has ended.
void Engine::hold_position(Call& call, Hlc hlc) {
  if (call.held_from != 0) return;
  call.held_from = hlc;
  shard_.hold_position(hlc);
}

// --- parts of a call that are under way

std::uint64_t Engine::sub(Call& call, SubKind kind, std::uint32_t key_index, Hlc hlc) {
  ++call.waiting;
  return subs_.add({&call, kind, key_index, hlc}) << 1 | 1;  // odd; a Call's address is even
}

// What `tag` stands for; its call waits for one thing less.
Engine::SubOp Engine::take_sub(std::uint64_t tag) {
  const SubOp op = subs_.take(tag >> 1);
  --op.call->waiting;
  return op;
}

StoreToken Engine::store_token(Call& call, SubKind kind, std::uint32_t key_index, Hlc hlc) {
  return c_.ops.token(*this, sub(call, kind, key_index, hlc));
}

// The last part that a call waited for has ended.
void Engine::advance(Call& call) {
  switch (static_cast<Stage>(call.stage)) {
    case Stage::recording:
      if (call.logged_out) return tell_removed(call, call.held);
      return complete(call, call.held);
    case Stage::standin_record:
      if (call.outpaced) return run_again(call);
      if (c_.fleet != nullptr) owe_agreed(call);
      return complete(call, call.held);
    case Stage::tomb:
      if (call.unrecorded && c_.options.strict_logout) return complete(call, kNotDurable);
      return send_removal(call);
    case Stage::marking:
      return send_marked(call);
    case Stage::absent_meta:
    case Stage::missing_meta:
      if (more_metas(call)) return;
      return on_absent_meta(call);
    case Stage::absent_verify:
    case Stage::missing_verify:
      return on_verified(call);
    case Stage::opaque_verify:
      return judge_missing(call);
    case Stage::undoing:
      return on_undone(call);
    case Stage::watching:
      if (more_metas(call)) return;
      return on_watched(call);
    case Stage::loading:
      if (!call.contradicted && call.asked < call.keys.size()) return load_more(call);
      return on_rows_loaded(call);
    default:
      return;
  }
}

// --- what the other parts tell us

void Engine::on_read_back_wanted(const FullKey& key) {
  c_.cache.erase(key);
  adopter_.want(key, true);
}

void Engine::on_trust(Trust trust) {
  if (trust == Trust::out) adopter_.on_link_lost();
  replica_reads_.on_trust(trust);
  if (c_.fleet != nullptr) c_.fleet->on_trust(trust);
  if (trust != Trust::suspect) reroute_lost();
  if (trust == Trust::trusted && c_.rules.near_cache_is_emptied) c_.cache.clear();
  std::vector<Call*> fronts;
  c_.keys.all_fronts(fronts);
  for (Call* call : fronts) {
    if (!std::exchange(call->listed, true)) ready_.push_back(call);
  }
  run_ready();
}

void Engine::on_debt_settled(const FullKey& key) {
  if (shard_.trusted()) c_.cache.erase(key);
}

void Engine::on_push(std::string_view frame) {
  if (push_handler_ != nullptr) push_handler_->on_upstream_reply(0, frame);
}

EngineStatus Engine::status() const {
  EngineStatus out;
  shard_.fill(out.shard);
  out.adoption_complete = adopter_.ended();
  out.adoption_settled = adopter_.complete();
  out.adopted = adopter_.adopted();
  out.adoption_scanned = adopter_.scanned();
  out.adoption_expected = adopter_.expected();
  out.ledger_ok = ledger_ok_;
  out.to_read_back = std::max(adopter_.waiting(), c_.unrecorded.size());
  out.truths = truths_;
  out.mode = c_.options.observe ? "observe" : "protect";
  out.calls_under_way = under_way_;
  out.replicas_known = replica_reads_.known();
  out.cached_records = c_.cache.size();
  out.cached_bytes = c_.cache.bytes();
  out.store = c_.store.stats();
  return out;
}

}  // namespace stayd
