// Engine: commands on a connection of the client's own. WATCH lives where the key is answered: in
// Redis, or, while Redis is out, in the versions of the ledger's rows. When that changes between
// WATCH and EXEC the transaction is in doubt, and EXEC answers null: the client tries again.
#include <algorithm>
#include <charconv>

#include "core/engine.h"
#include "resp/request_parser.h"
#include "session/effects.h"

namespace stayd {

namespace {
constexpr std::int64_t kNoDeadlineUs = std::int64_t{1} << 60;  // blocking commands wait as they say
}

void Engine::submit_pinned(Call& call) {
  const auto& name = call.spec->name;
  if (name == "watch") return start_watch(call);
  if (name == "unwatch") return unwatch(call);
  if (!c_.up() || pinned_ == nullptr) return fail_unavailable(call);
  find_keys(*call.spec, call.args, call.key_positions);  // none: Redis says what is wrong with it
  for (const auto position : call.key_positions) {
    call.keys.push_back(full_key(call.db, call.args[position]));
  }
  shard_.use_db(call.db);
  forget_absences(call);
  call.stage = static_cast<std::uint8_t>(Stage::blocking);
  if (call.writes() && is_session(call)) note_in_flight(call);
  send_pinned(call, call.raw, 1, kNoDeadlineUs);
}

void Engine::send_pinned(Call& call, std::string_view request, std::uint32_t replies,
                         std::int64_t deadline_us) {
  if (!pinned_->send(call.client_id, request, call.db, *this,
                     reinterpret_cast<std::uintptr_t>(&call), deadline_us, replies)) {
    complete(call, "-ERR stayd: too many clients need a Redis connection of their own\r\n");
  }
}

// BLPOP and its kin: whatever was popped, only Redis knows what is left.
void Engine::on_blocking(Call& call, std::string_view frame) {
  if (!watches_.contains(call.client_id)) pinned_->release(call.client_id);
  const ReplyView reply(frame);
  note_elsewhere(frame);
  ++c_.counters.replies_from_redis;
  if (reply.is_null() || reply.is_error() || !call.writes() || !is_session(call) ||
      c_.options.observe) {
    return complete(call, frame);
  }
  call.held.assign(frame);
  call.stage = static_cast<std::uint8_t>(Stage::recording);
  read_back_all(call);
}

// CLIENT UNBLOCK of a client of stayd: Redis knows the connection it waits on under another id.
void Engine::unblock(Call& call) {
  std::uint64_t client = 0;
  std::from_chars(call.args[2].data(), call.args[2].data() + call.args[2].size(), client);
  const std::int64_t id = pinned_ == nullptr ? 0 : pinned_->redis_id(client);
  if (id == 0 || aux_ == nullptr || !aux_->up()) return complete(call, ":0\r\n");
  const std::string redis_id = std::to_string(id);
  Args args = call.args;
  args[2] = redis_id;
  request_.clear();
  append_request(request_, args);
  call.stage = static_cast<std::uint8_t>(Stage::passthrough);
  aux_->send(request_, call.db, *this, reinterpret_cast<std::uintptr_t>(&call), slow_deadline_us(),
             1);
}

// --- WATCH

void Engine::start_watch(Call& call) {
  if (!collect_keys(call)) {
    return complete(call, "-ERR Invalid arguments specified for command\r\n");
  }
  Watch& watch = watches_[call.client_id];
  const bool redis = goes_to_redis(call) && pinned_ != nullptr;
  if (watch.keys.empty()) watch.in_redis = redis;
  watch.in_doubt = watch.in_doubt || watch.in_redis != redis;
  call.stage = static_cast<std::uint8_t>(Stage::watching);
  if (redis) {
    for (const FullKey& key : call.keys) watch.keys.emplace_back(key, 0);
    return send_pinned(call, call.raw, 1, slow_deadline_us());
  }
  load_metas(call);
}

// 0 when the key is not there: its removal then changes nothing, as in Redis.
Hlc Engine::watched_version(const RowMeta& meta) const {
  return meta.live_at(c_.now.wall_ms) ? meta.hlc : 0;
}

void Engine::on_watched(Call& call) {
  Watch& watch = watches_[call.client_id];
  for (std::size_t i = 0; i < call.keys.size(); ++i) {
    watch.keys.emplace_back(call.keys[i], watched_version(call.metas[i]));
  }
  complete(call, "+OK\r\n");
}

void Engine::unwatch(Call& call) {
  forget_watch(call.client_id);
  complete(call, "+OK\r\n");
}

void Engine::forget_watch(std::uint64_t client_id) {
  const auto it = watches_.find(client_id);
  if (it == watches_.end()) return;
  const bool in_redis = it->second.in_redis;
  watches_.erase(it);
  if (in_redis && pinned_ != nullptr) pinned_->drop(client_id);
}

// EXEC of a client that watches. False: answered, or on its way.
bool Engine::watch_allows(Call& call) {
  const auto it = watches_.find(call.client_id);
  if (it == watches_.end()) return true;  // DISCARD, UNWATCH or EXEC came before
  const Watch& watch = it->second;
  const bool redis = goes_to_redis(call);
  const bool gone = redis && !pinned_->holds(call.client_id);  // its WATCHes are gone with it
  if (watch.in_doubt || watch.in_redis != redis || gone) {
    forget_watch(call.client_id);
    complete(call, "_\r\n");
    return false;
  }
  if (redis) return true;
  for (const auto& [key, version] : watch.keys) {
    const auto row = working_.find(key);
    if (row == working_.end() || watched_version(row->second.meta) == version) continue;
    forget_watch(call.client_id);
    complete(call, "_\r\n");
    return false;
  }
  return true;
}

void Engine::client_gone(std::uint64_t client_id) {
  watches_.erase(client_id);
  if (pinned_ != nullptr) pinned_->drop(client_id);
}

}  // namespace stayd
