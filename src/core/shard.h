// What we believe of one shard's memory, and how we come to believe it (R11, R12, R13).
//
//            gate passed                 scan, repairs, debts, 3 heartbeats
//   OUT ───────────────────▶ SUSPECT ──────────────────────────────────────▶ TRUSTED
//    ▲                          ▲  heartbeat found another value, or is older than 3 s │
//    └── connection lost ───────┴─────────────────────────────────────────────────────┘
//
// While SUSPECT every session command is answered from the ledger, exactly as while OUT, and the
// rows that Redis may lack are written to it: first tombstones, then live rows, then debts. Only
// when nothing is left does a hit or a miss of Redis count again. Loop thread only; sans-I/O.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/canary.h"
#include "core/context.h"
#include "core/gains.h"
#include "core/leftovers.h"
#include "core/missing_keys.h"
#include "core/repairer.h"
#include "core/reply_class.h"
#include "core/side_keys.h"
#include "core/status.h"
#include "resp/reply.h"

namespace stayd {

class ShardEvents {
 public:
  virtual ~ShardEvents() = default;
  virtual void on_trust(Trust trust) = 0;
  virtual void on_debt_settled(const FullKey& key) = 0;
  // The ledger does not know this key's value and Redis may: read it back.
  virtual void on_read_back_wanted(const FullKey& key) = 0;
  // stayd was away too long, or its ledger lost its tail: the ledger starts anew from what Redis
  // holds.
  virtual void on_redis_is_truth(std::string_view why) = 0;
  // This shard does not have, or not wholly, a slot of its place.
  virtual void on_slot_elsewhere() = 0;
  virtual void on_push(std::string_view frame) = 0;
};

class Shard final : public UpstreamEvents,
                    public MemoryFacts,
                    private ReplyHandler,
                    private StoreClient,
                    private RepairEvents,
                    private LeftoverEvents {
 public:
  Shard(CoreContext& context, ShardEvents& events);

  Trust trust() const { return trust_; }
  bool trusted() const { return trust_ == Trust::trusted; }
  bool writes_refused() const { return writes_refused_; }
  bool deletes_refused() const { return deletes_refused_; }

  void start();  // reads the durable facts; before the upstream starts
  // Its own from now on; `gained` have come with this version. Requires: Redis is out, no call is
  // under way.
  void move(ShardPlace place, const SlotSet& gained);
  // Another Redis, which is not the one that was left, is about to be dialled.
  void change_memory();
  Leftovers& leftovers() { return leftovers_; }
  // Redis is the truth: rows up to here are void.
  Hlc void_top() const { return void_top_; }
  // shard_end.cc, of a Cluster: the ledger's end has been compared with what this shard's Redis
  // tells, and with what others have found.
  bool has_judged() const { return !first_contact_ && !ledger_is_in_doubt(); }
  void end_doubts();  // all have judged
  std::vector<LedgerDoubt> doubts() const;
  void take_doubts(const std::vector<LedgerDoubt>& doubts);  // with slots
  void on_tick();              // heartbeats, debts; context.now is current
  void check_heartbeat_gap();  // R12: call before anything counts on trust

  // The row of `key` is at `hlc` and Redis has not confirmed it (R1b).
  void owe(const FullKey& key, Hlc hlc) { c_.debts.add(key, hlc); }
  // A write that a lost connection left in doubt: its keys are read back before Redis is trusted.
  // Takes the slot over. Requires that Redis is out.
  void leave(InFlightTable::Slot slot, const std::vector<FullKey>& keys) {
    leftovers_.add(slot, keys);
  }
  bool is_leftover(std::string_view key) const { return leftovers_.has(key); }
  // A version that may stand in the ledger and has not reached Redis yet bounds S.
  void hold_position(Hlc hlc) { ++held_[hlc]; }
  void release_position(Hlc hlc);
  // A reply said what Redis can not do now.
  void note_refusal(ReplyClass reply_class, std::string_view text);
  // The auxiliary connection's id in Redis; 0: it has ended.
  void note_aux_client(std::int64_t id, const std::string& run_id);
  // Both connections lead to the same process.
  bool aux_is_beside() const { return aux_client_ != 0 && aux_run_id_ == facts_.run_id; }
  std::int64_t last_beat_ok_ms() const { return last_beat_ok_ms_; }  // wall clock; 0: none yet
  Hlc flushed(int db) const { return flushed_[db]; }                 // 0: never, through us
  // Something contradicts what we believe.
  void suspect(std::string_view why);
  // R4: Redis' evicted_keys as just read; true when keys were evicted since `mark`.
  bool evicted_since(const Mark& mark, std::uint64_t evicted_keys);
  // MemoryFacts
  bool was_lost(std::string_view full_key, const RowMeta& meta,
                std::uint64_t evicted_keys) override;
  const std::string& last_canary(int db) const override { return last_written_[db]; }
  std::string canary_name() const { return c_.canary_name(); }
  // A flush or SWAPDB through stayd has just been sent: other heartbeats wait for its reply. A
  // flush takes those of `db` (-1: all), so fresh ones are sent behind it (R18).
  void on_flush_sent(int db, std::int64_t deadline_us);
  void on_swap_sent(std::int64_t deadline_us);
  // SWAPDB has moved the heartbeats too.
  void swap_canaries(int a, int b) { std::swap(last_written_[a], last_written_[b]); }
  // A flush through stayd has been done: rows and copies older than `hlc` are void. db -1: all.
  void note_flush(int db, Hlc hlc);
  void use_db(int db);
  bool db_in_use(int db) const { return (dbs_ >> db & 1) != 0; }

  void fill(ShardStatus& out) const;

  // UpstreamEvents
  void on_upstream_up(const GateFacts& facts) override;
  void on_upstream_down(bool never_up, std::string_view cause) override;
  void on_upstream_push(std::string_view frame) override { events_.on_push(frame); }

 private:
  enum class Step : std::uint8_t { none, hearing, asking, scanning, reading_back, paying, probing };

  void on_upstream_reply(std::uint64_t tag, std::string_view frame) override;
  void on_upstream_lost(std::uint64_t tag) override;
  void on_applied(std::uint64_t, const Error&, const ApplyResult&) override {}
  void on_loaded(std::uint64_t, const Error&, Row) override {}
  void on_scanned(std::uint64_t tag, const Error& error, ScanPage page) override;
  void on_repaired(const FullKey& key, Hlc hlc, RepairOutcome outcome) override;
  void on_chunk_done() override;
  void on_leftover_lost(const FullKey& key, Hlc hlc) override { owe(key, hlc); }
  void on_leftover_put_off(const FullKey& key) override { events_.on_read_back_wanted(key); }
  void on_leftovers_done() override;

  void remember_clients();
  // shard_end.cc
  void find_ledger_top();
  void save_judgement();
  void ask_for_heartbeats_left(std::int64_t deadline_us);
  void on_heartbeat_left(int number, std::string_view text);
  bool ledger_is_in_doubt() const;
  std::string_view why_redis_is_truth(Hlc ahead);
  void note_judged(bool redis_is_truth);
  void add_doubt(const LedgerDoubt& doubt);
  void drop_judgement();
  Hlc told_top() const;

  void begin_reconcile();
  void hear();    // of a fleet: what the others have done
  void ask();     // scripts, CLIENT KILL of old connections, every canary
  void decide();  // what has this memory lost?
  SlotSet gained_since(std::uint64_t place) const;
  Hlc position_found(int db) const;
  void plan_scans();
  void flush_again();
  void next_scan();
  void read_leftovers();
  void pay();
  void become_trusted();
  void set_trust(Trust trust, std::string_view why);
  void tell_unreachable();
  void send_heartbeats();
  void ask_for_others(std::int64_t deadline_us);
  void on_flush_reply(int db);
  bool written_since_the_beat() const { return beat_at_ != std::pair(position(), c_.hlc.last()); }
  bool may_beat() const { return beats_under_way_ == 0 && flushes_under_way_ == 0; }
  void look_around(std::int64_t deadline_us);
  void on_time(int look, std::string_view frame);
  void note_clock(std::int64_t redis_wall_ms, std::int64_t asked_wall_ms);
  void on_instances(const ReplyView& instances);
  void set_shared(bool shared);
  void on_heartbeat(int db, std::string_view frame);
  Hlc position() const;
  Hlc reached() const;
  // The version of the place that a heartbeat of now vouches for.
  std::uint64_t vouched_place() const {
    return trust_ == Trust::trusted ? c_.place.version() : reconcile_place_;
  }
  void track_evictions(const std::string& run_id, std::uint64_t evicted_keys);

  struct Scan {
    int db;
    RowState state;
    Hlc newer_than;
    FullKey after;
    std::shared_ptr<const SlotSet> slots;
  };
  void plan_scan(RowState state, int db, Hlc newer_than, std::shared_ptr<const SlotSet> slots);

  CoreContext& c_;
  ShardEvents& events_;
  Repairer repairer_;
  Leftovers leftovers_;

  Trust trust_ = Trust::out;
  Step step_ = Step::none;
  std::string reason_ = "not connected yet";
  std::string unreachable_told_;  // the cause that was told last, since it was last reached
  std::int64_t unreachable_told_us_ = 0;
  std::int64_t since_ms_ = 0;
  GateFacts facts_;
  std::string last_run_id_;  // of the process whose memory was last judged
  // Connections that may still have commands of ours in a frozen Redis; those of our last life too.
  std::vector<std::int64_t> old_clients_;
  std::string old_clients_run_id_;
  std::size_t clients_being_killed_ = 0;  // the first of old_clients_, by the reconcile under way
  std::int64_t aux_client_ = 0;
  std::string aux_run_id_;
  std::uint64_t generation_ = 0;  // of the reconcile; late answers of an older one are ignored

  std::array<std::string, kDatabases> last_written_;
  std::array<std::string, kDatabases> found_;
  std::array<std::string, kDatabases> pending_write_;
  std::array<std::string, kDatabases> fresh_;  // behind a flush, until its reply comes
  std::array<bool, kDatabases> gone_{};
  std::uint32_t dbs_ = 1;
  std::uint32_t epoch_ = 0;
  std::uint64_t beats_ = 0;
  std::uint64_t evictions_ = 0;  // cumulative over Redis' restarts
  std::uint64_t last_evicted_keys_ = 0;
  std::int64_t last_turn_us_ = 0;  // the last time we saw the clock
  std::string evictions_run_id_;
  Hlc reconcile_position_ = 0;  // S while not TRUSTED
  std::uint64_t reconcile_place_ = 0;
  Gains gains_;
  std::map<Hlc, int> held_;

  std::int64_t last_beat_sent_us_ = 0;
  std::pair<Hlc, Hlc> beat_at_;  // position(), and the clock, when it was sent
  std::int64_t last_beat_ok_us_ = 0;
  std::int64_t last_look_us_ = 0;
  int look_ = 0;                      // the last one's number, for its TIME
  std::int64_t asked_wall_ms_ = 0;    // then
  std::int64_t clock_offset_ms_ = 0;  // Redis' clock minus ours, as far as it is known
  std::int64_t others_seen_us_ = 0;
  std::int64_t last_beat_ok_ms_ = 0;
  std::int64_t round_trip_us_ = 0;
  int good_beats_ = 0;
  int beats_under_way_ = 0;
  int flushes_under_way_ = 0;  // replies awaited

  std::vector<Scan> scans_;
  bool scan_under_way_ = false;
  std::uint64_t replayed_ = 0;
  // Of several Redises: those that were trusted in this life; whether the one in use is none of
  // them, and its heartbeat tells of versions that the ledger has lost.
  std::set<std::string> met_;
  bool unmet_ = false;
  bool heartbeat_is_ahead_ = false;
  bool evicted_meanwhile_ = false;
  // Adopted rows were last left to another stayd to be put back in this trust epoch (shared.cc).
  std::uint32_t left_out_epoch_ = 0;
  std::int64_t hearing_since_us_ = 0;
  std::array<Hlc, kDatabases> flushed_{};
  std::uint64_t overflows_at_scan_ = 0;
  // The ledger's highest version when this process started; of a Cluster, when the first one did
  // that has not compared it with this shard's heartbeat.
  Hlc ledger_top_ = 0;
  Hlc last_top_ = 0;  // when this process started: that it had been compared may be lost as well
  Hlc void_top_ = 0;
  std::int64_t judged_us_ = 0;
  std::vector<LedgerDoubt> doubts_;
  std::vector<LedgerEnd::Heartbeat> asked_for_;
  bool first_contact_ = true;
  bool away_too_long_ = false;
  std::int64_t last_alive_saved_ms_ = 0;

  bool writes_refused_ = false;
  bool deletes_refused_ = false;
  std::int64_t pay_not_before_us_ = 0;
};

}  // namespace stayd
