// Engine: MULTI .. EXEC. One write to Redis, one batch in the ledger; in doubt or without Redis the
// stand-in runs the whole block.
#include <algorithm>
#include <string_view>
#include <unordered_set>

#include "core/engine.h"
#include "resp/database.h"
#include "resp/request_parser.h"
#include "session/effects.h"
#include "session/scripts.h"

namespace stayd {

// An option of SET.
bool Engine::has_option(const Call& call, std::string_view lower) {
  return call.args.size() > 3 && std::any_of(call.args.begin() + 3, call.args.end(), [&](auto arg) {
           return equals_ignore_case(arg, lower);
         });
}

// True when neither what it does nor what it answers depends on what was there.
bool Engine::writes_whole_value(const Call& call) {
  const auto& name = call.spec->name;
  if (name != "set") return name == "setex" || name == "psetex" || name == "mset";
  for (const auto option : {"nx", "xx", "get", "keepttl"}) {
    if (has_option(call, option)) return false;
  }
  return true;
}

// True when a command of the block does, or answers, something else on a key that Redis has merely
// lost (R15): anything but a first command that writes the whole value.
bool Engine::depends_on_absence(const Call& call) {
  std::vector<std::string_view> whole;
  for (const auto& sub_call : call.block) {
    const bool writes_whole = writes_whole_value(*sub_call);
    for (const FullKey& key : sub_call->keys) {
      if (std::find(whole.begin(), whole.end(), key) != whole.end()) continue;
      if (!writes_whole) return true;
      whole.push_back(key);
    }
  }
  return false;
}

// Logouts inside the block stand in the ledger before Redis hears of them; rows that only Redis can
// tell are marked. A key that the block removes and writes again is no logout. True: the block
// waits for the ledger.
bool Engine::mark_block(Call& call) {
  const bool noted = note_in_flight(call);
  std::unordered_set<std::string_view> written;  // by later commands of the block
  bool marked = false;
  ++call.waiting;
  call.stage = static_cast<std::uint8_t>(Stage::marking);
  for (auto it = call.block.rbegin(); it != call.block.rend(); ++it) {
    Call& sub_call = **it;
    if (!sub_call.writes()) continue;
    const bool removal = is_removal(*sub_call.spec, sub_call.args, c_.now.wall_ms);
    const bool opaque =
        !removal && (!noted || (effects_need_read_back(*sub_call.spec, sub_call.args) &&
                                !stand_in_supports(*sub_call.spec, sub_call.args)));
    Hlc hlc = 0;
    if (removal || opaque) hlc = c_.hlc.reserve(c_.now.wall_ms, sub_call.keys.size() + 1);
    sub_call.hlc = 0;
    sub_call.marked = opaque;
    for (std::size_t i = 0; i < sub_call.keys.size(); ++i) {
      const FullKey& key = sub_call.keys[i];
      const bool logout = written.insert(key).second && removal;
      if (!logout && !opaque) continue;
      if (!call.locks_held) c_.keys.lock(call);
      hold_position(call, hlc);
      if (logout) sub_call.hlc = hlc;
      marked = true;
      Mutation mutation;
      mutation.kind = removal ? Mutation::Kind::tomb : Mutation::Kind::stale;
      mutation.key = key;
      mutation.unconfirmed = opaque;
      fill(mutation, hlc + i);
      const auto at = std::find(call.keys.begin(), call.keys.end(), key);
      const auto index = static_cast<std::uint32_t>(at - call.keys.begin());
      const SubKind kind = removal ? SubKind::tombed : SubKind::marked;
      c_.store.apply_one(std::move(mutation), store_token(call, kind, index, hlc + i),
                         removal ? Durability::synced : Durability::written);
    }
  }
  --call.waiting;
  return marked;
}

void Engine::send_block(Call& call) {
  if (call.pinned && static_cast<Stage>(call.stage) != Stage::marking && !watch_allows(call))
    return;
  const bool session = is_session(call) && !c_.options.observe;
  if (session && !call.pinned && !call.checked && depends_on_absence(call)) {
    c_.keys.lock(call);
    return resolve_missing(call);
  }
  if (session && !call.pinned && static_cast<Stage>(call.stage) != Stage::marking &&
      mark_block(call)) {
    return;
  }
  if (!c_.up() || (session && !shard_.trusted())) return reroute(call);
  call.stage = static_cast<std::uint8_t>(Stage::block);
  call.sent_wall_ms = c_.now.wall_ms;
  std::size_t versions = 1 + call.keys.size();  // these for what is read back
  request_.assign("*1\r\n$5\r\nMULTI\r\n");
  // What was found out about its keys must still hold when the block runs: it tells us itself.
  call.probes = 0;
  if (session && call.checked && !call.pinned && call.one_database() &&
      c_.rules.blocks_probe_their_keys) {
    call.probes = static_cast<std::uint32_t>(call.keys.size());
    for (const FullKey& key : call.keys) append_request(request_, {"EXISTS", key_of(key)});
  }
  for (auto& sub_call : call.block) {
    request_.append(sub_call->raw);
    versions += sub_call->args.size();
  }
  request_.append("*1\r\n$4\r\nEXEC\r\n");
  call.hlc = c_.hlc.reserve(c_.now.wall_ms, versions);
  note_making(call);
  call.sent = true;
  if (session) c_.keys.add_in_flight(call);
  const auto replies = static_cast<std::uint32_t>(call.block.size() + 2 + call.probes);
  if (call.pinned && watches_.contains(call.client_id)) {
    if (!call.locks_held && session) c_.keys.lock(call);
    hold_position(call, call.hlc);
    if (session) note_in_flight(call);
    return send_pinned(call, request_, replies, slow_deadline_us());
  }
  c_.upstream->send(request_, call.db, *this, reinterpret_cast<std::uintptr_t>(&call),
                    command_deadline_us(), replies, order_of(call));
  if (call.locks_held && call.probes == 0) {
    c_.keys.unlock(call);
    kick(call.keys);
  }
}

// False: a key was lost between the check and the block, which ran on nothing. The ledger's rows
// are as they were; the stand-in runs the block on them, and Redis will be told.
bool Engine::probes_hold(Call& call, ReplyView::Elements& elements) {
  bool hold = true;
  ReplyView element;
  for (std::uint32_t i = 0; i < call.probes && elements.next(element); ++i) {
    const bool gone = element.integer().value_or(0) == 0;
    if (gone && i < call.gone.size() && !call.gone[i]) {
      shard_.owe(call.keys[i], call.metas[i].hlc);
      hold = false;
    }
  }
  return hold;
}

void Engine::on_block_error(Call& call, std::string_view frame) {
  // Queue-time errors of our own making are caught before: Redis refused a command of the block.
  const bool aborted = frame.starts_with("-EXECABORT");
  const bool one_by_one = frame.starts_with("-ERR EXEC without MULTI");
  if (aborted) {  // it does not tell why
    ++c_.counters.refused_by_redis;
    shard_.note_refusal(c_.place.everything() ? ReplyClass::no_memory : ReplyClass::elsewhere,
                        frame.substr(1));
  }
  const ReplyClass reply_class = classify_reply(frame);
  if (call.pinned && (aborted || is_trouble(reply_class))) {
    // What it watched is watched no longer: the client looks again, the stand-in cannot.
    if (!aborted) {
      shard_.note_refusal(reply_class, frame.substr(1));
      doubt_rows(call);
    }
    return complete(call, "_\r\n");
  }
  if (aborted) {
    if (!c_.place.everything()) note_redirected(call);
    return reroute(call);
  }
  if (refused(call, frame)) return;
  // Nothing was done, not even the logouts in it; or MULTI was denied, and all was done one by one.
  if (call.held_from != 0 || one_by_one) doubt_rows(call);
  complete(call, frame);
}

void Engine::on_block(Call& call, std::string_view frame) {
  const ReplyView reply(frame);
  if (call.pinned && watches_.erase(call.client_id) != 0) {
    // A block that selects leaves the connection in a database that the link does not know of.
    const bool strays = order_of(call) == Order::strays;
    strays ? pinned_->drop(call.client_id) : pinned_->release(call.client_id);
  }
  if (reply.is_null()) return complete(call, frame);  // a watched key was changed
  if (!is_session(call) || c_.options.observe) {
    ++c_.counters.replies_from_redis;
    return complete(call, frame);
  }
  if (reply.is_error()) return on_block_error(call, frame);
  auto elements = reply.elements();
  if (!probes_hold(call, elements)) return reroute(call);
  if (!memory_is_judged() && !call.pinned) return redo(call);
  ++c_.counters.replies_from_redis;
  call.held.clear();
  write_array(call.held, call.block.size());
  call.stage = static_cast<std::uint8_t>(Stage::recording);
  std::vector<Store::Change> changes;
  std::vector<FullKey> read_backs;
  std::vector<FullKey> fresh;  // not there before the block: what it writes first is all there is
  for (std::size_t i = 0; i < call.gone.size(); ++i) {
    if (call.gone[i]) fresh.push_back(call.keys[i]);
  }
  Hlc hlc = call.hlc;
  bool logout = false;
  ReplyView element;
  for (auto& sub_call : call.block) {
    if (!elements.next(element)) break;
    call.held.append(element.frame());
    if (sub_call->keys.empty()) continue;
    mutations_.clear();
    const Effects effects = derive_effects(*sub_call->spec, sub_call->args, sub_call->db, element,
                                           call.sent_wall_ms, mutations_);
    if (effects == Effects::read_back || sub_call->marked) {
      read_backs.insert(read_backs.end(), sub_call->keys.begin(), sub_call->keys.end());
      continue;
    }
    ask_for_late_expiry(call);
    for (Mutation& mutation : mutations_) {
      if (std::erase(fresh, mutation.key) != 0) make_whole(mutation);
      fill(mutation, hlc++);
      mutation.from_client = true;
      note_change(mutation);
      forget_unwritten(call, mutation);
      logout = logout || mutation.kind == Mutation::Kind::tomb;
      if (!shard_.trusted()) shard_.owe(mutation.key, mutation.hlc);
      c_.cache.erase(mutation.key);
      const auto at = std::find(call.keys.begin(), call.keys.end(), mutation.key);
      const auto index = static_cast<std::uint32_t>(at - call.keys.begin());
      changes.push_back({std::move(mutation), store_token(call, SubKind::applied, index)});
    }
  }
  ++call.waiting;
  call.logged_out = logout;
  if (!changes.empty()) {
    apply_effects(std::move(changes), logout ? Durability::synced : Durability::written);
  }
  std::sort(read_backs.begin(), read_backs.end());  // once each, however often it was written
  read_backs.erase(std::unique(read_backs.begin(), read_backs.end()), read_backs.end());
  call.hlc = hlc;  // what is read back is what the whole block left, after the effects told above
  for (const FullKey& key : read_backs) {
    const auto at = std::find(call.keys.begin(), call.keys.end(), key);
    read_back(call, static_cast<std::uint32_t>(at - call.keys.begin()));
  }
  if (--call.waiting == 0) advance(call);
}

void Engine::run_block_standin(Call& call, std::vector<Mutation>& effects) {
  class Rows final : public Workspace {
   public:
    explicit Rows(KeyMap<Row>& rows) : rows_(rows) {}
    Record& record(std::string_view key) override { return rows_.find(key)->second.record; }

   private:
    KeyMap<Row>& rows_;
  } workspace(working_);
  write_array(call.held, call.block.size());
  for (auto& sub_call : call.block) {
    const auto& name = sub_call->spec->name;
    const Args& args = sub_call->args;
    if (sub_call->spec->handling == Handling::script && !stand_in_supports(*sub_call->spec, args)) {
      write_error(call.held, script_refusal(args));
    } else if (sub_call->spec->handling != Handling::local && name != "unwatch") {
      execute({sub_call->spec, &args, sub_call->db, c_.now.wall_ms}, workspace, call.held, effects);
    } else if (name == "ping" && args.size() == 1) {
      write_simple(call.held, "PONG");
    } else if (name == "ping" || name == "echo") {
      write_bulk(call.held, args[1]);
    } else if (name == "select" && !select_error(args[1]).empty()) {
      write_error(call.held, select_error(args[1]));
    } else {
      write_simple(call.held, "OK");
    }
  }
}

}  // namespace stayd
