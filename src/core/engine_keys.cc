// Engine: which keys a call touches.
#include <utility>

#include "core/engine.h"
#include "resp/database.h"

namespace stayd {

bool Engine::collect_keys(Call& call) {
  if (!find_keys(*call.spec, call.args, call.key_positions)) return false;
  call.keys.reserve(call.key_positions.size());
  for (const auto position : call.key_positions) {
    FullKey& key = call.keys.emplace_back(std::move(call.key_memory));
    assign_full_key(key, call.db, call.args[position]);
  }
  if (call.spec->handling == Handling::script) collect_arguments(call);
  if (call.spec->name == "copy" || call.spec->name == "move") collect_destination(call);
  shard_.use_db(call.db);
  return true;
}

// COPY a b DB n and MOVE a n write a key of another database.
void Engine::collect_destination(Call& call) {
  const Args& args = call.args;
  const bool move = call.spec->name == "move";
  std::size_t at = move ? 2 : args.size();
  for (std::size_t i = 3; !move && i + 1 < args.size(); ++i) {
    if (equals_ignore_case(args[i], "db")) at = i + 1;
  }
  const auto db = at < args.size() ? database_number(args[at]) : std::nullopt;
  if (!db) return;
  if (move) call.keys.emplace_back();
  assign_full_key(call.keys.back(), *db, args[move ? 1 : 2]);
  shard_.use_db(*db);
}

// A script that declares no keys: its arguments that are called as sessions are, count as its keys.
// Of a Cluster those that this shard has: no script reaches others.
void Engine::collect_arguments(Call& call) {
  if (!call.keys.empty() || !call.writes() || call.args.size() < 4 || call.args[2] != "0") return;
  for (std::size_t i = 3; i < call.args.size() && call.keys.size() < kMaxArgumentKeys; ++i) {
    const bool ours = policies_.names(call.args[i]) && c_.place.owns(call.args[i]);
    if (ours) call.keys.push_back(full_key(call.db, call.args[i]));
  }
}

void Engine::collect_block_keys(Call& call) {
  for (auto& sub : call.block) {
    if (sub->spec->handling == Handling::local || !collect_keys(*sub)) continue;
    call.keys.insert(call.keys.end(), sub->keys.begin(), sub->keys.end());
  }
  if (!call.pinned) return;
  const auto watch = watches_.find(call.client_id);
  if (watch == watches_.end()) return;
  for (const auto& [key, version] : watch->second.keys) call.keys.push_back(key);
}

}  // namespace stayd
