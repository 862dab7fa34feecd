#include "core/shard.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "base/info.h"
#include "core/fleet_view.h"
#include "core/lua.h"
#include "core/shard_tags.h"
#include "resp/reply.h"
#include "resp/request_parser.h"

namespace stayd {

namespace {

constexpr std::int64_t kProbeIntervalMs = 100;  // heartbeats while probing
constexpr std::int64_t kPayRetryMs = 500;       // after Redis refused a repair
constexpr std::int64_t kAliveSaveMs = 10'000;
constexpr std::int64_t kTellAgainUs = 5'000'000;
constexpr std::int64_t kLookIntervalUs = 2'000'000;  // for other instances, evictions

std::uint64_t number_fact(const Store& store, std::string_view name) {
  const std::string text = store.fact(name);
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

Shard::Shard(CoreContext& context, ShardEvents& events)
    : c_(context),
      events_(events),
      repairer_(context, *this),
      leftovers_(context, *this, *this),
      gains_(context.store) {}

void Shard::start() {
  epoch_ = static_cast<std::uint32_t>(number_fact(c_.store, "trust_epoch"));
  if (epoch_ == 0) epoch_ = c_.place.first_epoch();
  dbs_ = static_cast<std::uint32_t>(number_fact(c_.store, "databases")) | 1;
  evictions_ = number_fact(c_.store, "evictions");
  last_evicted_keys_ = number_fact(c_.store, "evicted_keys");
  evictions_run_id_ = c_.store.fact("evictions_run_id");
  const auto alive = static_cast<std::int64_t>(number_fact(c_.store, "last_alive_ms"));
  away_too_long_ = alive != 0 && c_.now.wall_ms - alive > c_.options.max_island_ms;
  for (int db = 0; db < kDatabases; ++db) {
    flushed_[db] = number_fact(c_.store, "flushed_" + std::to_string(db));
  }
  std::istringstream clients(c_.store.fact("redis_clients"));
  clients >> old_clients_run_id_;
  for (std::int64_t id = 0; clients >> id;) old_clients_.push_back(id);
  if (c_.rules.leftovers_are_read) leftovers_.start();
  gains_.start();
  find_ledger_top();
  if (c_.rules.versions_go_on) c_.hlc.witness(c_.store.highest_hlc());
  c_.mark = {epoch_, evictions_};
  c_.shared = c_.store.fact("shared") == "1";
  left_out_epoch_ = static_cast<std::uint32_t>(number_fact(c_.store, "left_out_epoch"));
  others_seen_us_ = c_.now.mono_us;
  since_ms_ = c_.now.wall_ms;
}

void Shard::move(ShardPlace place, const SlotSet& gained) {
  if (gained.any()) gains_.add(place.version(), gained);
  const std::string canary = canary_name();
  c_.place = std::move(place);
  if (canary_name() != canary) last_written_.fill({});  // there is none under the new name
}

// What was found out about the one before counts for that one: in particular that the ledger is
// older than it, which this one can be older than in turn.
void Shard::change_memory() {
  c_.other_memory = true;
  unmet_ = !met_.contains(c_.options.region);
  drop_judgement();
  if (!c_.rules.other_memories_are_doubted) return;
  last_run_id_.clear();
  last_written_.fill({});
  pending_write_.fill({});
  fresh_.fill({});
}

void Shard::use_db(int db) {
  if (db_in_use(db)) return;
  dbs_ |= 1u << db;
  c_.store.put_fact("databases", std::to_string(dbs_));
}

void Shard::set_trust(Trust trust, std::string_view why) {
  reason_ = why;
  if (trust_ == trust) return;
  trust_ = trust;
  since_ms_ = c_.now.wall_ms;
  const std::string at = "Redis " + c_.options.address;
  if (trust == Trust::out) {
    ++c_.counters.shard_out;
    c_.events.on_event(
        {Severity::warning,
         "shard_out",
         at + " is out (" + std::string(why) + "): sessions are answered from the ledger",
         {}});
  } else if (trust == Trust::suspect) {
    c_.events.on_event(
        {Severity::info,
         "shard_suspect",
         at + " is back but not yet trusted (" + std::string(why) +
             "): sessions are answered from the ledger while it is brought up to date",
         {}});
  } else {
    ++c_.counters.shard_trusted;
    c_.events.on_event({Severity::info,
                        "shard_trusted",
                        at + " is trusted: it answers again",
                        {{"rows_replayed", std::to_string(replayed_)},
                         {"debts_left", std::to_string(c_.debts.size())}}});
  }
  events_.on_trust(trust);
}

void Shard::on_upstream_up(const GateFacts& facts) {
  facts_ = facts;
  unreachable_told_.clear();
  clock_offset_ms_ = 0;
  note_clock(facts.redis_wall_ms, facts.asked_wall_ms);
  // A Redis that started anew has forgotten how much it had evicted since we last looked.
  if (c_.rules.restarts_hide_evictions && facts.may_evict && !evictions_run_id_.empty() &&
      facts.run_id != evictions_run_id_) {
    ++evictions_;
  }
  track_evictions(facts.run_id, facts.evicted_keys);
  last_beat_ok_us_ = c_.now.mono_us;
  if (facts.run_id != old_clients_run_id_) {  // ids of another process
    old_clients_.clear();
    clients_being_killed_ = 0;
  }
  old_clients_run_id_ = facts.run_id;
  remember_clients();
  if (c_.fleet != nullptr) c_.fleet->on_connection();
  set_trust(Trust::suspect, "new connection");
  if (!c_.rules.new_connections_are_doubted) return become_trusted();
  // In a fleet others may have written rows that the scan has passed already.
  if (step_ != Step::scanning || c_.fleet != nullptr) return begin_reconcile();
  next_scan();
}

void Shard::note_aux_client(std::int64_t id, const std::string& run_id) {
  if (aux_client_ != 0 && aux_run_id_ == old_clients_run_id_) old_clients_.push_back(aux_client_);
  aux_client_ = id;
  aux_run_id_ = run_id;
  if (id != 0) remember_clients();
}

// After a kill -9 the next life must find, and kill, what this one left in a frozen Redis.
void Shard::remember_clients() {
  c_.store.put_fact("redis_clients",
                    facts_.run_id + " " + std::to_string(facts_.client_id) + " " +
                        std::to_string(aux_run_id_ == facts_.run_id ? aux_client_ : 0));
}

void Shard::on_upstream_down(bool never_up, std::string_view cause) {
  if (!never_up && facts_.client_id != 0) old_clients_.push_back(facts_.client_id);
  ++generation_;
  leftovers_.stop();
  if (c_.rules.reconcile_ends_with_connection || step_ != Step::scanning) {
    step_ = Step::none;
    scans_.clear();
  }
  scan_under_way_ = false;
  beats_under_way_ = flushes_under_way_ = 0;
  writes_refused_ = deletes_refused_ = false;
  if (trust_ != Trust::out) return set_trust(Trust::out, cause);
  reason_ = cause;
  tell_unreachable();
}

// Why it cannot be reached, whenever that is something else than was told last.
void Shard::tell_unreachable() {
  if (reason_ == unreachable_told_ ||
      (!unreachable_told_.empty() && c_.now.mono_us - unreachable_told_us_ < kTellAgainUs)) {
    return;
  }
  unreachable_told_ = reason_;
  unreachable_told_us_ = c_.now.mono_us;
  c_.events.on_event({Severity::warning,
                      "redis_unreachable",
                      "Redis " + c_.options.address + " cannot be reached (" + reason_ + ")",
                      {}});
}

void Shard::suspect(std::string_view why) {
  if (trust_ != Trust::trusted) return;
  set_trust(Trust::suspect, why);
  if (c_.up()) begin_reconcile();
}

void Shard::check_heartbeat_gap() {
  const std::int64_t gap_us = c_.options.heartbeat_gap_ms * 1000;
  const bool stood_still = c_.now.mono_us - std::exchange(last_turn_us_, c_.now.mono_us) > gap_us;
  if (!c_.rules.gaps_are_doubted) return;
  if (stood_still && trust_ == Trust::suspect && c_.up() && step_ != Step::none) {
    last_run_id_.clear();  // what was repaired may have been another process: all over again
    begin_reconcile();
  }
  if (trust_ != Trust::trusted) return;
  if (c_.now.mono_us - last_beat_ok_us_ > gap_us) {
    last_run_id_.clear();  // a proxy may have moved the connection to another process meanwhile
    suspect("no heartbeat for " + std::to_string((c_.now.mono_us - last_beat_ok_us_) / 1000) +
            " ms");
  }
}

void Shard::note_refusal(ReplyClass reply_class, std::string_view text) {
  switch (reply_class) {
    case ReplyClass::no_memory:
    case ReplyClass::no_writes: {
      const bool deletes = reply_class == ReplyClass::no_writes;
      if (!writes_refused_ || (deletes && !deletes_refused_)) {
        c_.events.on_event({Severity::warning,
                            deletes ? "writes_refused" : "no_memory",
                            "Redis " + c_.options.address + " refuses writes (" +
                                std::string(text.substr(0, text.find('\r'))) +
                                "): they are kept in the ledger and written later",
                            {}});
      }
      writes_refused_ = true;
      deletes_refused_ = deletes_refused_ || deletes;
      pay_not_before_us_ = c_.now.mono_us + kPayRetryMs * 1000;
      return;
    }
    case ReplyClass::elsewhere:
      // The ledger answers, and the key is owed, until its slot has come to rest.
      if (!c_.place.everything()) return events_.on_slot_elsewhere();
      [[fallthrough]];
    case ReplyClass::shard_out:
    case ReplyClass::wrong_node:
      if (c_.up()) c_.upstream->condemn(text.substr(0, text.find('\r')));
      return;
    default:
      return;
  }
}

void Shard::release_position(Hlc hlc) {
  const auto it = held_.find(hlc);
  if (it != held_.end() && --it->second == 0) held_.erase(it);
}

Hlc Shard::position() const {
  if (trust_ != Trust::trusted && c_.rules.s_waits_for_reconcile) return reconcile_position_;
  Hlc at = reached();
  if (c_.rules.s_waits_for_debts && !c_.debts.empty()) {
    at = std::min(at, std::max<Hlc>(1, c_.debts.lowest()) - 1);
  }
  return at;
}

// What of this life has been sent to this memory up to here is in it.
Hlc Shard::reached() const {
  // Never ahead of what the ledger has written: versions that were merely handed out die with us,
  // and after a kill -9 the ledger must not look as if it had lost its tail.
  Hlc at = c_.hlc.last();
  if (c_.rules.s_waits_for_ledger) at = std::min(at, c_.store.highest_hlc());
  if (c_.rules.s_waits_for_calls && !held_.empty()) at = std::min(at, held_.begin()->first - 1);
  return at;
}

// --- heartbeats

void Shard::on_tick() {
  check_heartbeat_gap();
  repairer_.on_tick();
  if (trust_ == Trust::trusted && !c_.debts.complete()) {
    suspect("more keys are owed to it than can be remembered one by one");
  }
  if (c_.now.wall_ms - last_alive_saved_ms_ > kAliveSaveMs) {
    last_alive_saved_ms_ = c_.now.wall_ms;
    c_.store.put_fact("last_alive_ms", std::to_string(c_.now.wall_ms));
  }
  if (!c_.up() || step_ == Step::asking) return;
  if (step_ == Step::hearing) return hear();
  if (ledger_is_in_doubt()) {  // another shard has just shown it
    return trusted() ? suspect("the ledger lost its last writes") : begin_reconcile();
  }
  if (step_ == Step::reading_back) leftovers_.on_tick();
  const auto interval =
      step_ == Step::probing ? kProbeIntervalMs : c_.options.heartbeat_interval_ms;
  const bool due = c_.now.mono_us - last_beat_sent_us_ >= interval * 1000;
  const bool follows =
      c_.options.heartbeats_follow_writes && trust_ == Trust::trusted && written_since_the_beat();
  if (may_beat() && (due || follows)) {
    send_heartbeats();
    if (c_.now.mono_us - last_look_us_ >= kLookIntervalUs) {
      look_around(c_.deadline_us(c_.options.heartbeat_deadline_ms));
    }
  }
  if (step_ == Step::paying || step_ == Step::probing || trust_ == Trust::trusted) pay();
}

void Shard::on_upstream_reply(std::uint64_t tag, std::string_view frame) {
  if (trust_ == Trust::suspect) check_heartbeat_gap();
  const auto kind = static_cast<TagKind>(tag >> 56);
  if (((tag >> 8) & 0xffffffffff) != (generation_ & 0xffffffffff)) {
    return;  // of a reconcile that has been started over; its heartbeats are no longer counted
  }
  const int db = static_cast<int>(tag & 0xff);
  if (kind == kTagBeat) {
    on_heartbeat(db, frame);
    return;
  }
  if (kind == kTagFlush) return on_flush_reply(db);
  if (kind == kTagIgnore) return;
  if (kind == kTagLoads) {
    if (frame[0] == '-') c_.upstream->condemn(frame.substr(1, frame.find('\r') - 1));
    return;
  }
  if (kind == kTagInstances) {
    on_instances(ReplyView(frame));
    return;
  }
  if (kind == kTagOthers) return c_.fleet->on_beats(db, ReplyView(frame));
  if (kind == kTagTime) return on_time(db, frame);
  if (kind == kTagInfo) {
    if (frame[0] == '-') return;
    const auto before = evictions_;
    track_evictions(facts_.run_id, info_number(ReplyView(frame).text(), "evicted_keys"));
    evicted_meanwhile_ = evictions_ != before;
    return;
  }
  const ReplyClass reply_class = classify_reply(frame);
  if (is_out(reply_class) || reply_class == ReplyClass::denied) {
    c_.upstream->condemn(frame.substr(1, frame.find('\r') - 1));
    return;
  }
  if (kind == kTagLeft) return on_heartbeat_left(db, ReplyView(frame).text());
  found_[db] = ReplyView(frame).text();
  if (kind == kTagLast) decide();
}

void Shard::on_upstream_lost(std::uint64_t tag) {
  if (static_cast<TagKind>(tag >> 56) == kTagBeat && beats_under_way_ > 0) --beats_under_way_;
}

void Shard::fill(ShardStatus& out) const {
  out.address = c_.options.address;
  out.trust = trust_;
  out.connected = c_.up();
  out.reads_closed = trust_ == Trust::trusted;
  out.writes_closed = trust_ == Trust::trusted && !writes_refused_;
  out.deletes_closed = trust_ == Trust::trusted && !deletes_refused_;
  out.reason = trust_ == Trust::trusted ? "" : reason_;
  out.since_ms = since_ms_;
  out.shared_unsafe = c_.shared;
  out.debts = c_.debts.size();
  out.debts_complete = c_.debts.complete();
  out.reconcile_done = replayed_;
  out.trust_epoch = epoch_;
  out.run_id = facts_.run_id;
  out.last_heartbeat_ms = last_beat_ok_ms_;
  out.round_trip_us = round_trip_us_;
}

}  // namespace stayd
