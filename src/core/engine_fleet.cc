// Engine: what it does beside when stayds share a backup (docs/adr/0016).
#include <algorithm>

#include "core/engine.h"
#include "core/fleet_view.h"
#include "core/side_keys.h"
#include "resp/request_parser.h"

namespace stayd {

void Engine::join(FleetStore& store) {
  fleet_.reset(new FleetView(c_, store, *this));  // NOLINT: a private base
  c_.fleet = fleet_.get();
  store.set_judge(c_.fleet);
}

// Of a fleet: what Redis may have done and the ledger does not have is told to nobody as shipped.
void Engine::note_making(Call& call) {
  if (c_.fleet == nullptr || call.made_from != 0) return;
  call.made_from = call.hlc;
  c_.making.insert(call.hlc);
  if (!call.spec->keeps_key) drop_leases(call);
}

// Ahead of what may remove a key: whoever has read the row before writes it no more (B8).
void Engine::drop_leases(const Call& call) {
  Args unlink{"UNLINK"};
  std::vector<std::string> names;
  for (const FullKey& key : call.keys) names.push_back(lease_key(c_.place, key_of(key)));
  for (const std::string& name : names) unlink.push_back(name);
  std::string request;
  append_request(request, unlink);
  if (!names.empty()) c_.upstream->send(request, call.db, swallow_, 0, command_deadline_us(), 1);
}

// Redis had a session that the ledger had not heard of: another stayd has opened it a moment ago,
// and may ship it after the tombstone, which is of the session before.
void Engine::bury_unseen(Call& call, std::string_view frame) {
  call.held.assign(frame);
  call.stage = static_cast<std::uint8_t>(Stage::recording);
  call.logged_out = true;
  Mutation tomb;
  tomb.kind = Mutation::Kind::tomb;
  tomb.key = call.keys[0];
  tomb.creates = true;
  const Hlc hlc = c_.hlc.next(c_.now.wall_ms);
  fill(tomb, hlc);
  c_.store.apply_one(std::move(tomb), store_token(call, SubKind::removed, 0, hlc),
                     removal_durability(call));
}

Store::RowsRead Engine::rows_of(const Call& call) {
  Store::RowsRead out;
  for (const FullKey& key : call.keys) {
    const auto same = [&key](const auto& one) { return one.first == key; };
    if (std::ranges::none_of(out, same)) out.emplace_back(key, working_[key]);
  }
  return out;
}

void Engine::on_adopted(const FullKey& key) {
  forget_what_was(key);
  if (c_.fleet != nullptr) c_.fleet->on_read_back(key);
}

// Another stayd has changed a row since it was read.
void Engine::run_again(Call& call) {
  if (!call.locks_held) c_.keys.lock(call);
  load_rows(call);
}

// Until the backup has it, the row is what it was: S stays below it, if Redis lacks that one too.
void Engine::owe_change(const Mutation& mutation, const RowMeta& before) {
  if (c_.fleet == nullptr) return shard_.owe(mutation.key, mutation.hlc);
  const bool lacks =
      before.hlc != 0 && c_.fleet->is_own(before) && !c_.fleet->here(mutation.key, before);
  c_.debts.add_agreed(mutation.key, lacks ? before.hlc : mutation.hlc, mutation.hlc);
}

// The backup has what the call has written. A repair may have read the rows before that, and have
// taken the debts for paid.
void Engine::owe_agreed(Call& call) {
  for (const FullKey& key : call.keys) {
    const auto it = working_.find(key);
    if (it == working_.end() || it->second.meta.hlc < call.agreed_from) continue;
    c_.debts.add_agreed(key, it->second.meta.hlc, c_.hlc.next(c_.now.wall_ms));
  }
}

}  // namespace stayd
