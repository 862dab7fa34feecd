// Engine: Redis is not asked. The command runs on the ledger's rows; what it changes is recorded,
// and owed to Redis (R1b, R4, R6).
#include <algorithm>

#include "core/engine.h"
#include "core/fleet_view.h"
#include "core/lua.h"
#include "session/effects.h"

namespace stayd {

namespace {

class RowsWorkspace final : public Workspace {
 public:
  explicit RowsWorkspace(KeyMap<Row>& rows) : rows_(rows) {}
  Record& record(std::string_view full_key) override { return rows_.find(full_key)->second.record; }

 private:
  KeyMap<Row>& rows_;
};

constexpr std::size_t kKeptRows = 4096;  // room that stays when the rows are gone: about 1 MB

}  // namespace

void Engine::to_standin(Call& call) {
  const bool was_sent = call.sent;
  // In a block, a script that only Redis could run, and has not been asked to, is told so.
  const auto can = [was_sent](const Call& one) {
    const auto& name = one.spec->name;
    return one.spec->handling == Handling::local || name == "unwatch" ||
           stand_in_supports(*one.spec, one.args) ||
           (!was_sent && (name == "eval" || name == "evalsha"));
  };
  const bool supported = call.is_block() ? std::all_of(call.block.begin(), call.block.end(),
                                                       [&](const auto& sub) { return can(*sub); })
                                         : stand_in_supports(*call.spec, call.args);
  if (!supported && !was_sent && waits_for_debts(call)) return;
  if (!supported) return was_sent ? reply_in_doubt(call) : fail_unavailable(call);
  load_rows(call);
}

void Engine::load_rows(Call& call) {
  if (!call.locks_held) c_.keys.lock(call);
  call.stage = static_cast<std::uint8_t>(Stage::loading);
  call.contradicted = call.alone = call.outpaced = false;
  call.asked = 0;
  for (const FullKey& key : call.keys) working_.erase(key);  // of an attempt that came to nothing
  load_more(call);
}

// A logout that the ledger could not take.
void Engine::bury(Row& row, Hlc hlc) {
  row.record = {};
  row.meta.state = RowState::tomb;
  row.meta.hlc = hlc;
}

void Engine::load_more(Call& call) {
  ++call.waiting;  // so that nothing advances before this part has been asked for
  const auto until = call.waiting + kMaxLoads;
  for (; call.asked < call.keys.size() && call.waiting < until; ++call.asked) {
    const std::uint32_t i = call.asked;
    const FullKey& key = call.keys[i];
    if (working_.contains(key)) continue;  // named twice
    if (c_.fleet != nullptr) {             // the others may have changed it
      working_.emplace(key, Row{});
      c_.store.load_exact(key, store_token(call, SubKind::row, i));
    } else if (const auto tomb = c_.unwritten_tombs.find(key); tomb != c_.unwritten_tombs.end()) {
      bury(working_.emplace(key, Row{}).first->second, tomb->second);
    } else if (Row* row = c_.unrecorded.has(key) ? nullptr : c_.cache.find(key)) {
      working_.emplace(key, std::move(*row));
      c_.cache.erase(key);
    } else {
      working_.emplace(key, Row{});
      c_.store.load(key, store_token(call, SubKind::row, i));
    }
  }
  if (--call.waiting == 0) on_rows_loaded(call);
}

void Engine::on_loaded(std::uint64_t tag, const Error& error, Row row) {
  const SubOp op = take_sub(tag);
  Call& call = *op.call;
  // What no other stayd can have made is known, though the backup cannot be asked.
  call.alone = call.alone || (row.alone && !c_.fleet->is_only_one());
  if (!error.message.empty()) {
    ++c_.counters.ledger_errors;
    ledger_ok_ = false;
    call.contradicted = true;
  } else if (op.kind == SubKind::meta) {
    const FullKey& key = call.keys[op.key_index];
    row.meta.stale = row.meta.stale || c_.unrecorded.behind(key, row.meta.hlc);
    if (c_.tomb_over(key, row.meta.hlc) != 0) row.meta.state = RowState::tomb;
    call.metas[op.key_index] = row.meta;
  } else {
    row.meta.stale = row.meta.stale || c_.unrecorded.behind(call.keys[op.key_index], row.meta.hlc);
    const Hlc tomb = c_.tomb_over(call.keys[op.key_index], row.meta.hlc);
    if (tomb != 0) bury(row, tomb);
    working_[call.keys[op.key_index]] = std::move(row);
  }
  if (call.waiting == 0) advance(call);
  run_ready();
}

void Engine::on_rows_loaded(Call& call) {
  if (call.contradicted) return accept_blindly(call);
  // A SUSPECT Redis may hold what the ledger has never heard of: HIT and adopt. Or what this very
  // command has written.
  if (c_.up() && !call.checked && !call.in_doubt) {
    call.checked = true;
    call.elsewhere = false;
    ++call.waiting;
    for (std::uint32_t i = 0; i < call.keys.size(); ++i) {
      const RowMeta& meta = working_[call.keys[i]].meta;
      if (meta.state != RowState::absent && !meta.stale) continue;
      request_.clear();
      append_read_back(request_, key_of(call.keys[i]));
      c_.upstream->send(request_, db_of(call.keys[i]), *this,
                        sub(call, SubKind::adopt_row, i, c_.hlc.next(c_.now.wall_ms)),
                        command_deadline_us(), 1);
    }
    if (--call.waiting != 0) return;
  }
  for (std::uint32_t i = 0; i < call.keys.size(); ++i) {
    if (!call.is_block() && call.writes() &&
        fenced(call, call.keys[i], working_[call.keys[i]].meta)) {
      return answer_fenced(call);
    }
  }
  if (answer_unknown(call)) return;
  if (call.pinned && !watch_allows(call)) return;
  run_standin(call);
}

void Engine::on_adopt_row(Call& call, const SubOp& op, std::string_view frame) {
  auto record = parse_read_back(ReplyView(frame), c_.redis_offset_ms);
  // Refused (BUSY, LOADING): once everything has been adopted, no row means no key.
  if (!record && !adopter_.complete()) {
    const bool elsewhere = classify_reply(frame) == ReplyClass::elsewhere;
    (elsewhere && !c_.place.everything() ? call.elsewhere : call.contradicted) = true;
  }
  if (!record || !record->exists()) return;
  const FullKey& key = call.keys[op.key_index];
  Row& row = working_[key];
  if (row.meta.state != RowState::absent && !row.meta.stale) return;
  ++c_.counters.adopted_keys;
  Mutation put;
  put.key = key;
  put.record = *record;
  fill(put, op.hlc);
  put.only_if_unknown = !c_.unrecorded.has(key);
  const RowMeta before = std::exchange(row.meta, {});
  row.meta.base = before.base;
  row.meta.incarnation = before.incarnation;
  row.meta.state = RowState::live;
  row.meta.type = record->type();
  row.meta.hlc = op.hlc;
  row.meta.expires_at_ms = record->expires_at_ms;
  row.record = std::move(*record);
  c_.store.apply_one(std::move(put), 0, Durability::written);
}

// --- running

void Engine::execute_on_rows(const Call& call, std::string& reply, std::vector<Mutation>& effects) {
  RowsWorkspace workspace(working_);
  execute({call.spec, &call.args, call.db, c_.now.wall_ms}, workspace, reply, effects);
}

void Engine::run_standin(Call& call) {
  std::vector<Mutation> effects;
  Store::RowsRead read;
  if (c_.fleet != nullptr && call.writes()) read = rows_of(call);
  call.held.clear();
  if (!call.is_block()) {
    execute_on_rows(call, call.held, effects);
  } else {
    run_block_standin(call, effects);
    watches_.erase(call.client_id);
  }
  ++c_.counters.replies_from_ledger;
  if (c_.fleet != nullptr && !call.writes()) read = rows_of(call);
  count_unseen_logouts(call, effects);
  end_what_is_told_ended(call, effects);
  if (!c_.rules.touches_are_recorded) {
    std::erase_if(effects, [](const Mutation& m) { return m.kind == Mutation::Kind::expiry; });
  }
  if (effects.empty()) {
    if (!call.writes()) call.metas.clear();
    for (const FullKey& key : call.keys) call.metas.push_back(working_[key].meta);
    remember_absent(call);
    return complete(call, call.held);
  }
  // Also of what was sent before: S may have passed the version that it had (R9, R11).
  const Hlc first = c_.hlc.reserve(c_.now.wall_ms, effects.size());
  call.hlc = first + effects.size() - 1;
  call.agreed_from = first;
  bool logout = false;
  std::vector<Store::Change> changes;
  changes.reserve(effects.size() * 2);
  for (std::size_t i = 0; i < effects.size(); ++i) {
    Mutation& mutation = effects[i];
    fill(mutation, first + i);
    mutation.from_client = true;
    logout = logout || mutation.kind == Mutation::Kind::tomb;
    Row& row = working_[mutation.key];
    const RowMeta before = row.meta;
    const bool provisional = row.meta.provisional && row.meta.state == RowState::live &&
                             !c_.placed.contains(mutation.key);
    // A logout holds whatever Redis has, and so does what comes after it.
    mutation.provisional = mutation.kind != Mutation::Kind::tomb &&
                           (provisional || (row.meta.state == RowState::absent &&
                                            !adopter_.complete() && !writes_whole_value(call)));
    update_meta(row, mutation);
    forget_unwritten(call, mutation);
    owe_change(mutation, before);
  }
  cap_records(call, effects);
  if (logout) ++c_.counters.logouts;
  call.stage = static_cast<std::uint8_t>(Stage::standin_record);
  for (Mutation& mutation : effects) {
    const auto token = store_token(call, SubKind::marked, 0);
    changes.push_back({std::move(mutation), token});
  }
  // Nobody is told of a logout before it is durable: its keys stay locked until then.
  const Durability durability = logout ? removal_durability(call) : Durability::written;
  const bool decided_here = c_.fleet == nullptr;  // else the backup may say that it is outpaced
  if (decided_here && (durability == Durability::written || !c_.rules.logouts_hold_their_keys)) {
    release_rows(call);
    c_.keys.add_in_flight(call);  // the next command on its keys waits for the ledger
    c_.keys.unlock(call);
    kick(call.keys);
  }
  if (c_.fleet == nullptr) return apply_effects(std::move(changes), durability);
  c_.store.apply_agreed(std::move(changes), std::move(read), durability);
}

// Of one command or block: all of them or none (MULTI, RENAME).
void Engine::apply_effects(std::vector<Store::Change> changes, Durability durability) {
  if (c_.rules.blocks_are_one_batch) return c_.store.apply(std::move(changes), durability);
  for (Store::Change& change : changes) {
    c_.store.apply_one(std::move(change.mutation), change.token, durability);
  }
}

// I10: nothing lives longer than its absolute lifetime, however often it is touched in an outage.
void Engine::cap_records(Call& call, std::vector<Mutation>& effects) {
  const SessionPolicy* policy = policy_of(call);
  if (policy == nullptr || policy->max_lifetime_ms == 0) return;
  const std::size_t changed = effects.size();
  for (std::size_t i = 0; i < changed; ++i) {
    Row& row = working_[effects[i].key];
    const std::int64_t end = row.meta.created_at_ms + policy->max_lifetime_ms;
    const bool within = row.meta.expires_at_ms != 0 && row.meta.expires_at_ms <= end;
    if (row.meta.state != RowState::live || row.meta.created_at_ms == 0 || within) continue;
    Mutation expiry;
    expiry.kind = Mutation::Kind::expiry;
    expiry.key = effects[i].key;
    expiry.record.expires_at_ms = row.record.expires_at_ms = row.meta.expires_at_ms = end;
    fill(expiry, c_.hlc.next(c_.now.wall_ms));
    row.meta.hlc = expiry.hlc;
    if (c_.fleet == nullptr) shard_.owe(expiry.key, expiry.hlc);
    effects.push_back(std::move(expiry));
  }
}

// DEL of an id that the ledger has never seen, before adoption is complete: a tombstone, counted.
void Engine::count_unseen_logouts(Call& call, std::vector<Mutation>& effects) {
  const auto& name = call.spec->name;
  const bool asked = c_.up() && !call.elsewhere;
  if (adopter_.complete() || asked || (name != "del" && name != "unlink")) return;
  std::int64_t extra = 0;
  for (const FullKey& key : call.keys) {
    if (working_[key].meta.state != RowState::absent || absences_.has(key)) continue;
    Mutation tomb;
    tomb.kind = Mutation::Kind::tomb;
    tomb.key = key;
    effects.push_back(std::move(tomb));
    ++extra;
  }
  if (extra == 0) return;
  const std::int64_t counted = ReplyView(call.held).integer().value_or(0) + extra;
  call.held.clear();
  write_integer(call.held, counted);
}

// A row may have ended while Redis had been told to keep the key for longer, by a touch that was on
// its way when stayd was killed. Who is told that it has ended is told the truth from then on.
void Engine::end_what_is_told_ended(const Call& call, std::vector<Mutation>& effects) {
  for (const FullKey& key : call.keys) {
    Row& row = working_[key];
    const bool ended = row.meta.state == RowState::live && !row.meta.live_at(c_.now.wall_ms);
    if (!ended || !shard_.is_leftover(key)) continue;
    const auto of_key = [&](const Mutation& effect) { return effect.key == key; };
    if (std::any_of(effects.begin(), effects.end(), of_key)) continue;
    Mutation tomb;
    tomb.kind = Mutation::Kind::tomb;
    tomb.key = key;
    effects.push_back(std::move(tomb));
    row.record = {};
  }
}

void Engine::update_meta(Row& row, const Mutation& mutation) {
  RowMeta& meta = row.meta;
  meta.hlc = mutation.hlc;
  meta.mark = mutation.mark;
  meta.stale = false;
  meta.provisional = mutation.provisional;
  if (!row.record.exists()) {
    meta.state = RowState::tomb;
    meta.tomb_until_ms = c_.now.wall_ms + kTombstoneMinMs + c_.options.max_island_ms;
    meta.expires_at_ms = 0;
    return;
  }
  if (meta.state != RowState::live || !meta.live_at(c_.now.wall_ms)) {
    ++meta.incarnation;
    meta.created_at_ms = c_.now.wall_ms;
  }
  meta.state = RowState::live;
  meta.type = row.record.type();
  meta.expires_at_ms = row.record.expires_at_ms;
}

// Rows of a call that has run go to the near cache, where the next call finds them; unless Redis
// answers for them again.
void Engine::release_rows(Call& call) {
  if (working_.empty() || !call.locks_held) return;
  for (const FullKey& key : call.keys) {
    const auto it = working_.find(key);
    if (it == working_.end()) continue;
    const bool keep = c_.fleet == nullptr && (!shard_.trusted() || c_.debts.has(key)) &&
                      it->second.meta.state != RowState::absent;
    if (keep) c_.cache.put(key, std::move(it->second));
    working_.erase(it);
  }
  if (working_.empty() && working_.bucket_count() > kKeptRows) working_ = {};
}

}  // namespace stayd
