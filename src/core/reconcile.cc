// Shard, second half: from SUSPECT back to TRUSTED (R13).
//
//   ask ──▶ decide ──▶ scan tombstones ──▶ scan live rows ──▶ read back leftovers ──▶ pay debts
//              │                                                      ▲     ──▶ three heartbeats
//              └── the memory is provably the one we left ────────────┘     ──▶ TRUSTED
#include <algorithm>

#include "core/fleet_view.h"
#include "core/lua.h"
#include "core/shard.h"
#include "core/shard_tags.h"
#include "resp/request_parser.h"

namespace stayd {

namespace {

constexpr std::size_t kResidualDebts = 64;
constexpr std::int64_t kPayRetryMs = 500;
constexpr std::int64_t kLeaseRetryMs = 100;  // a lease that a lost connection left lasts 2 s
constexpr std::int64_t kAskDeadlineMs = 500;
constexpr std::int64_t kHearUs = 2'000'000;

}  // namespace

void Shard::begin_reconcile() {
  ++generation_;
  leftovers_.stop();
  scans_.clear();
  scan_under_way_ = false;
  good_beats_ = 0;
  replayed_ = 0;
  beats_under_way_ = flushes_under_way_ = 0;
  if (c_.fleet == nullptr) return ask();
  step_ = Step::hearing;
  hearing_since_us_ = c_.now.mono_us;
  hear();
}

void Shard::hear() {
  if (c_.fleet->has_heard() || c_.now.mono_us - hearing_since_us_ > kHearUs) ask();
}

// The heartbeats that others keep in this Redis (B9).
void Shard::ask_for_others(std::int64_t deadline_us) {
  std::string request;
  for (int db = 0; db < kDatabases; ++db) {
    request.clear();
    if (!db_in_use(db) || !c_.fleet->append_beats(request)) continue;
    c_.upstream->send(request, db, *this, make_tag(kTagOthers, generation_, db), deadline_us);
  }
}

void Shard::ask() {
  step_ = Step::asking;
  const auto deadline = c_.deadline_us(kAskDeadlineMs);
  std::string request;
  const auto loads = static_cast<std::uint32_t>(append_script_loads(request, c_.fleet != nullptr));
  const auto ignore = make_tag(kTagIgnore, generation_, 0);
  c_.upstream->send(request, -1, *this, make_tag(kTagLoads, generation_, 0), deadline, loads);
  // What a frozen Redis has already received from us on a condemned connection must not run behind
  // what we write now. Ids are the server's own: after its restart they mean someone else.
  for (const auto id : old_clients_) {
    if (!c_.rules.old_connections_are_killed) break;
    request.clear();
    append_request(request, {"CLIENT", "KILL", "ID", std::to_string(id)});
    c_.upstream->send(request, -1, *this, ignore, deadline);
  }
  clients_being_killed_ = old_clients_.size();
  evicted_meanwhile_ = false;
  look_around(deadline);  // decides what is put back
  ask_for_heartbeats_left(deadline);
  if (c_.fleet != nullptr) ask_for_others(deadline);
  int last = 0;
  for (int db = 0; db < kDatabases; ++db) {
    if (db_in_use(db)) last = db;
  }
  for (int db = 0; db <= last; ++db) {
    if (!db_in_use(db)) continue;
    request.clear();
    append_request(request, {"GET", canary_name()});
    c_.upstream->send(request, db, *this,
                      make_tag(db == last ? kTagLast : kTagCanary, generation_, db), deadline);
  }
}

void Shard::decide() {
  old_clients_.erase(old_clients_.begin(),
                     old_clients_.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                clients_being_killed_, old_clients_.size())));
  clients_being_killed_ = 0;
  const bool believed =
      !c_.rules.other_memories_are_doubted && std::exchange(c_.other_memory, false);
  const bool same_process =
      facts_.run_id == last_run_id_ || !c_.rules.restarts_lose_writes || believed;
  bool intact = same_process;
  Hlc ahead = 0;
  Hlc lowest = ~Hlc{0};
  std::uint64_t place = c_.place.version();
  for (int db = 0; db < kDatabases; ++db) {
    if (!db_in_use(db)) continue;
    const bool looks = !believed && (!same_process || c_.rules.connections_look_anew);
    if (!looks) found_[db] = last_written_[db];
    // Eviction takes the heartbeat like any key, and says so in evicted_keys: nothing else is lost.
    // Was it a flush after all, what it took is found when it is read; not on a shared Redis.
    const bool evicted = same_process && evicted_meanwhile_ && !c_.shared;
    if (found_[db].empty() && evicted && !last_written_[db].empty()) {
      found_[db] = last_written_[db];
      gone_[db] = true;
    } else if (found_[db].empty() ||
               (found_[db] != last_written_[db] && found_[db] != pending_write_[db] &&
                found_[db] != fresh_[db])) {
      intact = false;
    }
    const auto canary = Canary::parse(found_[db]);
    if (canary && first_contact_ && c_.ledger_end != nullptr) {
      c_.ledger_end->note(c_.place.id(), *canary);
    }
    ahead = std::max(ahead, canary ? canary->ledger() : 0);
    lowest = std::min(lowest, position_found(db));
    place = std::min(place, canary ? canary->place : 0);
    beats_ = std::max(beats_, canary ? canary->count : 0);
    epoch_ = std::max(epoch_, canary ? canary->epoch : 0);
  }
  const std::string_view why = why_redis_is_truth(ahead);
  if (!why.empty()) {
    events_.on_redis_is_truth(why);
    c_.hlc.witness(ahead);
  }
  if (!why.empty() && c_.place.everything()) {  // of a Cluster: rows of this life are written to it
    lowest = c_.hlc.last();
    for (int db = 0; db < kDatabases; ++db) {
      if (db_in_use(db)) found_[db] = Canary{epoch_, beats_, lowest, c_.now.wall_ms, place}.text();
    }
    c_.debts.clear();
  } else if (!why.empty()) {  // or the next life would find it once more
    lowest = std::min(lowest, c_.store.highest_hlc());
  }
  note_judged(!why.empty());
  first_contact_ = away_too_long_ = false;
  reconcile_position_ = lowest;
  reconcile_place_ = place;
  const bool gained = gained_since(place).any();
  intact = intact && !gained;
  heartbeat_is_ahead_ = unmet_ && ahead > ledger_top_;
  if (heartbeat_is_ahead_) reconcile_position_ = 0;  // what the ledger has lost is given up there
  if (c_.options.observe) {  // nothing is ever written to Redis but the heartbeat
    c_.debts.clear();
    for (int db = 0; db < kDatabases; ++db) last_written_[db] = found_[db];
    return read_leftovers();
  }
  if (!intact && c_.rules.flushes_are_meant) flush_again();
  last_run_id_ = facts_.run_id;
  if (c_.fleet != nullptr) {
    for (int db = 0; db < kDatabases; ++db) {
      if (db_in_use(db)) c_.fleet->found_own(db, position_found(db));
    }
  }
  if (!intact || !c_.debts.complete() || c_.fleet != nullptr) {
    c_.debts.mark_incomplete();  // until the scan has ended: a connection may be lost before
    plan_scans();
    if (!intact) {
      ++epoch_;
      c_.mark.epoch = epoch_;
      c_.store.put_fact("trust_epoch", std::to_string(epoch_));
    }
  }
  // From here on the heartbeat expects, and replaces, what was found; with S as it was found.
  for (int db = 0; db < kDatabases; ++db) {
    last_written_[db] = gone_[db] ? std::string() : found_[db];
    gone_[db] = false;
    fresh_[db].clear();
  }
  step_ = Step::scanning;
  // Ahead of the first repair: whatever empties Redis from now on takes this heartbeat too.
  send_heartbeats();
  next_scan();
}

// S, as Redis has it. A heartbeat in a slot that has come since it was written came with the slot:
// it tells of the memory where that was, or of this one before it was emptied.
Hlc Shard::position_found(int db) const {
  const auto canary = Canary::parse(found_[db]);
  if (!canary || gained_since(canary->place)[slot_of(canary_name())]) return 0;
  return canary->position;
}

// A flush through stayd is meant, and stays meant when Redis comes back from before it (R18).
void Shard::flush_again() {
  for (int db = 0; db < kDatabases; ++db) {
    if (!db_in_use(db) || flushed_[db] == 0) continue;
    const auto canary = Canary::parse(found_[db]);
    if (!canary || canary->position >= flushed_[db]) continue;
    std::string request;
    append_request(request, {"FLUSHDB", "ASYNC"});
    c_.upstream->send(request, db, *this, make_tag(kTagIgnore, generation_, 0),
                      c_.deadline_us(c_.options.slow_deadline_ms), 1);
    found_[db].clear();
    reconcile_position_ = 0;
  }
}

void Shard::note_flush(int db, Hlc hlc) {
  for (int i = 0; i < kDatabases; ++i) {
    if (db >= 0 && i != db) continue;
    flushed_[i] = hlc;
    c_.store.put_fact("flushed_" + std::to_string(i), std::to_string(hlc));
  }
}

// What has gone again since then is another shard's to pay.
SlotSet Shard::gained_since(std::uint64_t place) const {
  return c_.place.everything() ? SlotSet() : gains_.since(place) & *c_.place.slots();
}

void Shard::plan_scans() {
  overflows_at_scan_ = c_.debts.overflows();
  if (c_.rules.tombstones_are_replayed) {  // no scan finds those in memory only
    for (const auto& [key, hlc] : c_.unwritten_tombs) {
      // What had reached this memory once, another stayd may have created anew.
      if (!c_.shared || hlc > reconcile_position_) owe(key, hlc);
    }
  }
  const SlotSet gained = gained_since(reconcile_place_);
  for (const RowState state : {RowState::tomb, RowState::live}) {
    if (state == RowState::tomb && !c_.rules.tombstones_are_replayed) continue;
    for (int db = 0; db < kDatabases; ++db) {
      if (!db_in_use(db)) continue;
      plan_scan(state, db, c_.fleet == nullptr ? position_found(db) : c_.fleet->all_here_to(db),
                nullptr);
      if (gained.any() && position_found(db) != 0)
        plan_scan(state, db, 0, std::make_shared<const SlotSet>(gained));
    }
  }
  std::reverse(scans_.begin(), scans_.end());  // taken from the back
}

// Of the whole place, or of the slots that the heartbeat found does not vouch for.
void Shard::plan_scan(RowState state, int db, Hlc newer_than,
                      std::shared_ptr<const SlotSet> slots) {
  if (heartbeat_is_ahead_) newer_than = 0;
  if (newer_than < c_.store.highest_hlc()) {
    scans_.push_back({db, state, newer_than, {}, std::move(slots)});
  }
}

void Shard::next_scan() {
  if (step_ != Step::scanning || scan_under_way_ || repairer_.busy()) return;
  if (scans_.empty()) {
    if (c_.debts.overflows() != overflows_at_scan_) {
      plan_scans();  // the table was too small for what changed behind the scan
      if (!scans_.empty()) return next_scan();
    }
    c_.debts.mark_complete();
    return read_leftovers();
  }
  const Scan& scan = scans_.back();
  scan_under_way_ = true;
  ScanQuery query;
  query.db = scan.db;
  query.after = scan.after;
  query.newer_than = scan.newer_than;
  // A row that expired while Redis was out may stand over an older value that Redis still holds.
  query.with_expired = true;
  query.state = scan.state;
  query.slots = scan.slots;
  query.limit = kRepairChunk;
  c_.store.scan(std::move(query), c_.ops.token(*this, generation_));
}

void Shard::on_scanned(std::uint64_t tag, const Error& error, ScanPage page) {
  if (tag != generation_ || step_ != Step::scanning) return;
  scan_under_way_ = false;
  if (!error.message.empty()) {
    // Without the ledger nothing can be replayed; the memory stays SUSPECT until it can be read.
    c_.upstream->condemn("the ledger cannot be read: " + error.message);
    return;
  }
  if (page.done) {
    scans_.pop_back();
  } else {
    scans_.back().after = page.next;
  }
  std::vector<FullKey> keys;
  for (ScanEntry& entry : page.entries) {
    if (c_.fleet != nullptr) {
      if (c_.fleet->here(entry.key, entry.meta)) continue;
      const bool own = c_.fleet->is_own(entry.meta);
      own ? c_.debts.add(entry.key, entry.meta.hlc)
          : c_.debts.add_foreign(entry.key, entry.meta.hlc);
      keys.push_back(std::move(entry.key));
    } else if (!c_.shared || !entry.meta.adopted) {
      keys.push_back(std::move(entry.key));
    } else if (std::exchange(left_out_epoch_, epoch_) != epoch_) {
      c_.store.put_fact("left_out_epoch", std::to_string(epoch_));
    }
  }
  if (keys.empty()) {
    next_scan();
  } else {
    repairer_.start(std::move(keys));
  }
}

void Shard::on_repaired(const FullKey& key, Hlc hlc, RepairOutcome outcome) {
  if (!c_.place.owns(key_of(key))) return;  // its slot has gone while the ledger was asked
  const bool moved_on = c_.debts.version(key) > hlc;  // written again while this was under way
  switch (outcome) {
    case RepairOutcome::confirmed:
      ++replayed_;
      if (c_.debts.has(key)) {
        if (c_.debts.settle(key, c_.rules.debts_have_versions ? hlc : ~Hlc{0})) {
          events_.on_debt_settled(key);
        } else {
          c_.debts.retry(key);
        }
      }
      return;
    case RepairOutcome::refused:
      // Its slot may have come to rest elsewhere: what is owed is asked of Redis by nobody else.
      if (!c_.place.everything()) events_.on_slot_elsewhere();
      [[fallthrough]];
    case RepairOutcome::leased:
      pay_not_before_us_ =
          c_.deadline_us(outcome == RepairOutcome::leased ? kLeaseRetryMs : kPayRetryMs);
      [[fallthrough]];
    case RepairOutcome::lost:
      if (c_.debts.has(key)) {
        c_.debts.retry(key);
      } else {
        c_.debts.add(key, hlc);
      }
      return;
    case RepairOutcome::unknown_row:
    case RepairOutcome::foreign:
      if (moved_on) return c_.debts.retry(key);
      c_.debts.forget(key);
      events_.on_read_back_wanted(key);
      return;
  }
}

void Shard::on_chunk_done() {
  if (!c_.up()) return;
  if (step_ == Step::scanning) {
    next_scan();
  } else {
    pay();
  }
}

void Shard::read_leftovers() {
  step_ = Step::reading_back;
  leftovers_.read();
}

void Shard::on_leftovers_done() {
  step_ = Step::paying;
  pay();
}

void Shard::pay() {
  if (!c_.up() || repairer_.busy()) return;
  const bool may_pay = c_.now.mono_us >= pay_not_before_us_ && c_.debts.unpaid() > 0;
  if (may_pay) {
    std::vector<FullKey> keys;
    c_.debts.take(kRepairChunk, keys);
    if (!keys.empty()) repairer_.start(std::move(keys));
  }
  if (step_ != Step::paying) return;
  // Debts that Redis refuses to take (OOM, MISCONF) are carried along one by one; many that are
  // merely not yet written are waited for.
  const bool waiting_is_pointless = c_.now.mono_us < pay_not_before_us_;
  if (c_.debts.complete() && (c_.debts.size() <= kResidualDebts || waiting_is_pointless)) {
    step_ = Step::probing;
    good_beats_ = 0;
    if (may_beat()) send_heartbeats();
  }
}

void Shard::become_trusted() {
  others_seen_us_ = c_.now.mono_us;  // they get their time to come back too
  step_ = Step::none;
  c_.other_memory = unmet_ = false;
  met_.insert(c_.options.region);
  set_trust(Trust::trusted, "");
  if (c_.fleet != nullptr) send_heartbeats();  // the others may rely on it from now on
}

}  // namespace stayd
