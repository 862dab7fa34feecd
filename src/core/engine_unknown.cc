// Engine: what cannot be known. Told as UNKNOWN, never as nil (I5), unless the configuration wants
// an anonymous visitor or a pause.
#include <algorithm>

#include "core/engine.h"
#include "session/effects.h"

namespace stayd {

namespace {
constexpr std::string_view kUnknownReply = "-TRYAGAIN stayd: session state temporarily unknown\r\n";
}  // namespace

UnknownPolicy Engine::unknown_policy(const Call& call) const {
  const SessionPolicy* policy = policy_of(call);  // none: the configuration has just been narrowed
  return policy == nullptr ? UnknownPolicy::error : policy->unknown;
}

// Locks and new sessions go ahead where no row is known; what tells whether there was one does not.
bool Engine::creates_if_missing(const Call& call) {
  if (writes_whole_value(call) || call.spec->guard || call.is_block()) return true;
  return call.spec->name == "set" && has_option(call, "nx") && !has_option(call, "get");
}

// True when the call has been answered, or waits, because a key's state is not known.
bool Engine::answer_unknown(Call& call) {
  bool unknown = false;
  bool stale = false;
  const bool asked = c_.up() && !call.elsewhere;
  for (const FullKey& key : call.keys) {
    const RowMeta& meta = working_[key].meta;
    stale = stale || (meta.stale && c_.rules.stale_rows_do_not_answer);
    unknown = unknown || (c_.rules.no_row_is_no_proof && meta.state == RowState::absent &&
                          (call.alone || !adopter_.complete()) && !asked && !absences_.has(key));
  }
  const bool removal = is_removal(*call.spec, call.args, c_.now.wall_ms);
  if (stale && !removal && !writes_whole_value(call)) {
    if (!ask_replica(call)) reply_unknown(call, unknown_policy(call));
    return true;
  }
  if (!unknown || creates_if_missing(call)) return false;
  if (removal && (call.spec->name == "del" || call.spec->name == "unlink")) {
    // Logging out an id that nobody here has seen: remembered, and counted as done.
    return false;
  }
  if (!ask_replica(call)) reply_unknown(call, unknown_policy(call));
  return true;
}

// R5: the ledger cannot be read. A SUSPECT Redis' hit is better than nothing, its miss is not; nor
// is its hit where it is known to be old (R1b).
void Engine::accept_blindly(Call& call) {
  const bool owed = std::any_of(call.keys.begin(), call.keys.end(),
                                [this](const FullKey& key) { return c_.debts.has(key); });
  const bool writes = call.is_block() || call.writes();
  if (writes && call.in_doubt) leave_in_doubt(call);
  if (owed || !c_.up() || !c_.options.blind_accept || writes) {
    return reply_unknown(call, UnknownPolicy::error);
  }
  call.stage = static_cast<std::uint8_t>(Stage::blind);
  c_.upstream->send(call.raw, call.db, *this, reinterpret_cast<std::uintptr_t>(&call),
                    command_deadline_us(), 1);
}

void Engine::on_blind(Call& call, std::string_view frame) {
  if (classify_reply(frame) != ReplyClass::ordinary ||
      looks_absent(*call.spec, call.args, ReplyView(frame))) {
    return reply_unknown(call, UnknownPolicy::error);
  }
  ++c_.counters.replies_from_redis;
  complete(call, frame);
}

void Engine::reply_unknown(Call& call, UnknownPolicy policy) {
  if (policy == UnknownPolicy::hold &&
      c_.now.mono_us - call.submitted_us < c_.options.hold_ms * 1000) {
    release_rows(call);
    c_.keys.unlock(call);
    kick(call.keys);
    call.checked = false;
    call.stage = static_cast<std::uint8_t>(Stage::held_unknown);
    holding_.push_back(&call);
    return;
  }
  ++c_.counters.unknown_replies;
  if (!c_.rules.unknown_is_never_nil) policy = UnknownPolicy::anonymous;
  if (policy == UnknownPolicy::anonymous && !call.is_block() && !call.writes()) {
    for (const FullKey& key : call.keys) working_[key] = Row{};
    std::string reply;
    std::vector<Mutation> none;
    execute_on_rows(call, reply, none);
    return complete(call, reply);
  }
  complete(call, kUnknownReply);
}

}  // namespace stayd
