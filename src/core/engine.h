// The engine: decides for every client command who answers it, keeps the ledger in step with Redis,
// and never lets Redis' troubles become a logout (docs/architecture.md).
//
//                        ┌─ TRUSTED, no debt ──▶ Redis ──▶ effect ──▶ ledger ──▶ reply
//   submit ─▶ key queue ─┤         │ nil? missing? ──▶ ledger knows better? ──┐
//                        │         │ refused, connection lost ────────────────┤
//                        └─ SUSPECT, OUT, debt ──▶ stand-in on ledger rows ◀──┘──▶ ledger ──▶ reply
//                                                        └─ debt ──▶ repairer ──▶ Redis
//
// Thread rule: everything on the engine loop. Sans-I/O: the upstreams, the store, the clock (`now`
// in every entry) and the random generator are given. Ownership: none of the references; Calls
// belong to their sinks.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/slot_table.h"
#include "core/absences.h"
#include "core/adopter.h"
#include "core/call.h"
#include "core/call_stage.h"
#include "core/context.h"
#include "core/engine_errors.h"
#include "core/fleet_view_events.h"
#include "core/handover.h"
#include "core/logout_wait.h"
#include "core/pinned.h"
#include "core/policy.h"
#include "core/replica_reads.h"
#include "core/shard.h"
#include "core/slot_events.h"
#include "core/status.h"
#include "core/tomb_keeper.h"
#include "resp/reply.h"
#include "session/standin.h"

namespace stayd {

class FleetStore;
class FleetView;

class Engine final : public CallHandler,
                     private ReplyHandler,
                     private StoreClient,
                     private ShardEvents,
                     private LogoutWaitEvents,
                     private ReplicaReadsEvents,
                     private AdopterEvents,
                     private FleetViewEvents {
 public:
  // `clock`: of the ledger's versions, when several engines share one; outlives them.
  Engine(EngineOptions options, PolicyTable policies, Store& store, Counters& counters,
         EventSink& events, Random& random, HlcClock* clock = nullptr);
  ~Engine() override;

  // `data` carries session commands; `aux` commands that may take long; `replica` reads, while the
  // primary is out. All outlive the engine; their UpstreamEvents are data_events() and so on.
  void attach(Upstream& data, Upstream& aux, Pinned* pinned = nullptr, Replica* replica = nullptr);
  UpstreamEvents& data_events() { return shard_; }
  UpstreamEvents& aux_events() { return aux_side_; }
  UpstreamEvents& replica_events() { return replica_reads_; }
  // Where pub/sub pushes go.
  void set_push_handler(ReplyHandler* handler) { push_handler_ = handler; }

  // A fleet's: the store that was given is this one. Before start().
  void join(FleetStore& store);

  void start(Now now);
  void set_now(Now now) { c_.now = now; }  // before every batch of submits or events
  void on_tick(Now now);
  void on_turn_end() { c_.store.submit(); }
  // Redis is elsewhere, as events and the status name it.
  void set_address(std::string address) { c_.options.address = std::move(address); }
  // Of a Cluster: who the replicas are, "host:port".
  void name_replicas(std::vector<std::string> at) { replica_reads_.name(std::move(at)); }
  // Of several Redises, the one of this name is used from now on: its connections follow.
  // `replicas`: as in EngineOptions.
  void change_memory(std::string region, std::vector<std::string> replicas = {}) {
    c_.options.region = std::move(region);
    shard_.change_memory();
    replica_reads_.change_memory(std::move(replicas));
  }
  void replace_policies(PolicyTable policies) { policies_ = std::move(policies); }

  // CallHandler
  void submit(Call& call) override;
  bool redis_answers() const override { return c_.up(); }
  bool may_flush() const override { return c_.up() && shard_.trusted(); }
  void client_gone(std::uint64_t client_id) override;

  // engine_place.cc: which slots of a Redis Cluster are this engine's (docs/adr/0012).
  void set_place(ShardPlace place) { c_.place = std::move(place); }  // before start()
  const ShardPlace& place() const { return c_.place; }
  void set_ledger_end(LedgerEnd* end) { c_.ledger_end = end; }  // before start()
  bool has_judged_ledger() const { return shard_.has_judged(); }
  void end_doubts() { shard_.end_doubts(); }
  void settle();  // what merely waits for Redis waits no longer
  // Gives what it holds of keys that are not its own any more. `gained`: may have been elsewhere
  // until now. Requires: no call is under way, the connections are given up.
  Handover move(ShardPlace place, const SlotSet& gained);
  void take_over(Handover from);
  void set_slot_events(SlotEvents* events) { slot_events_ = events; }
  // To where its slot is; `asking`: is about to be. Another redirection is not followed.
  void submit_redirected(Call& call, bool asking);

  // Runs the backfill from its beginning; until its end an outage has UNKNOWN again.
  void restart_adoption() { adopter_.restart(); }
  EngineStatus status() const;
  std::size_t calls_under_way() const { return under_way_; }

 private:
  // Rows that one call asks the ledger for at once; then the next. An operation and its report take
  // about 1 KB while they are under way.
  static constexpr std::size_t kMaxLoads = 1024;
  static constexpr std::size_t kMaxArgumentKeys = 64;  // of a script without keys; the rest is W8

  struct SubOp {
    Call* call = nullptr;
    SubKind kind = SubKind::applied;
    std::uint32_t key_index = 0;
    Hlc hlc = 0;
  };

  // The auxiliary connection's events, apart from the data connection's.
  class AuxSide final : public UpstreamEvents {
   public:
    explicit AuxSide(Engine& engine) : engine_(engine) {}
    void on_upstream_up(const GateFacts& facts) override {
      engine_.shard_.note_aux_client(facts.client_id, facts.run_id);
      engine_.replica_reads_.on_primary(facts.replicas);
    }
    void on_upstream_down(bool, std::string_view) override {
      engine_.shard_.note_aux_client(0, {});
      engine_.reroute_lost();
    }
    void on_upstream_push(std::string_view) override {}

   private:
    Engine& engine_;
  };

  // --- engine.cc: routing
  bool collect_keys(Call& call);
  void collect_arguments(Call& call);
  void collect_destination(Call& call);
  void collect_block_keys(Call& call);
  bool goes_to_redis(const Call& call) const;
  void try_start(Call& call);
  void start(Call& call);
  void run_ready();
  void kick(const std::vector<FullKey>& keys);
  void complete(Call& call, std::string_view reply);
  void let_go(Call& call);
  void fail_unavailable(Call& call);
  const SessionPolicy* policy_of(const Call& call) const;
  bool is_session(const Call& call) const { return policy_of(call) != nullptr; }
  std::int64_t command_deadline_us() const;
  std::int64_t slow_deadline_us() const { return c_.deadline_us(c_.options.slow_deadline_ms); }
  std::uint64_t sub(Call& call, SubKind kind, std::uint32_t key_index, Hlc hlc = 0);
  SubOp take_sub(std::uint64_t tag);
  StoreToken store_token(Call& call, SubKind kind, std::uint32_t key_index, Hlc hlc = 0);
  void advance(Call& call);
  void fill(Mutation& mutation, Hlc hlc) const;
  void hold_position(Call& call, Hlc hlc);

  // --- engine_redis.cc: the way through Redis
  void to_redis(Call& call);
  bool note_in_flight(Call& call);
  void send_write(Call& call);
  void send_conditional(Call& call, std::string_view request);
  void send_guarded(Call& call);
  void send_fenced_set(Call& call);
  void to_aux(Call& call);
  Durability removal_durability(const Call& call) const;
  void start_removal(Call& call);
  void send_removal(Call& call);
  void on_upstream_reply(std::uint64_t tag, std::string_view frame) override;
  void on_upstream_lost(std::uint64_t tag) override;
  void handle_reply(std::uint64_t tag, std::string_view frame);
  void on_sub_reply(const SubOp& op, std::string_view frame);
  void on_read(Call& call, std::string_view frame);
  void on_write(Call& call, std::string_view frame);
  void on_aux(Call& call, std::string_view frame);
  void on_removal(Call& call, std::string_view frame);
  void tell_removed(Call& call, std::string_view reply);
  void on_waited(Call& call) override { complete(call, call.held); }
  bool refused(Call& call, std::string_view frame);
  void note_redirected(const Call& call);
  void ask_for_late_expiry(const Call& call);
  void record(Call& call, std::string_view frame);
  void complete_recorded(Call& call, std::string_view frame);
  static void make_whole(Mutation& mutation);
  void record_mutations(Call& call, std::vector<Mutation>& mutations);
  void on_unrecorded(Call& call, const SubOp& op);
  void cap_lifetime(Call& call, std::uint32_t key_index, const RowMeta& before);
  void forget_unwritten(Call& call, const Mutation& mutation);
  void note_change(const Mutation& mutation);
  void read_back_all(Call& call);
  void read_back(Call& call, std::uint32_t key_index);
  void lose_read_back(Call& call, std::uint32_t key_index, Hlc hlc);
  void reroute_lost();
  void reroute(Call& call);
  void settle_marks(Call& call);
  void doubt_rows(Call& call);
  void leave_in_doubt(Call& call);
  void reply_in_doubt(Call& call);

  // --- engine_absent.cc: is it really not there? (R4, R8, R15)
  bool needs_proof(const Call& call, std::string_view frame) const;
  void check_absent(Call& call, std::string_view frame);
  void resolve_missing(Call& call);
  void load_metas(Call& call);
  bool more_metas(Call& call);
  void on_absent_meta(Call& call);
  void reply_stands(Call& call);
  void send_verification(Call& call);
  void send_doubts(Call& call);
  bool memory_holds(const Call& call);
  bool memory_is_judged();
  void go_first(Call& call);
  void redo(Call& call);
  bool follows_doubt(const Call& call);
  bool was_lost(const Call& call, std::size_t key_index);
  void on_verified(Call& call);
  void go_on_missing(Call& call);
  void send_checked(Call& call);
  bool fenced(const Call& call, const FullKey& key, const RowMeta& meta) const;
  void answer_fenced(Call& call);
  void remember_absent(const Call& call);
  void remember_absences(const Call& call);
  void forget_absences(const Call& call);

  // --- engine_fleet.cc: stayds share a backup
  void note_making(Call& call);
  void bury_unseen(Call& call, std::string_view frame);
  void drop_leases(const Call& call);
  Store::RowsRead rows_of(const Call& call);
  void run_again(Call& call);
  void owe_change(const Mutation& mutation, const RowMeta& before);
  void owe_agreed(Call& call);

  // --- engine_standin.cc: Redis is not asked
  void to_standin(Call& call);
  void load_rows(Call& call);
  static void bury(Row& row, Hlc hlc);
  void load_more(Call& call);
  void on_rows_loaded(Call& call);
  void execute_on_rows(const Call& call, std::string& reply, std::vector<Mutation>& effects);
  void on_adopt_row(Call& call, const SubOp& op, std::string_view frame);
  void run_standin(Call& call);
  void count_unseen_logouts(Call& call, std::vector<Mutation>& effects);
  void end_what_is_told_ended(const Call& call, std::vector<Mutation>& effects);
  void update_meta(Row& row, const Mutation& mutation);
  void cap_records(Call& call, std::vector<Mutation>& effects);
  void apply_effects(std::vector<Store::Change> changes, Durability durability);
  void release_rows(Call& call);
  static bool has_option(const Call& call, std::string_view lower);
  static bool writes_whole_value(const Call& call);

  // --- engine_unknown.cc: what cannot be known
  bool answer_unknown(Call& call);
  void reply_unknown(Call& call, UnknownPolicy policy);
  UnknownPolicy unknown_policy(const Call& call) const;
  static bool creates_if_missing(const Call& call);
  void accept_blindly(Call& call);
  void on_blind(Call& call, std::string_view frame);

  // --- engine_replica.cc
  bool ask_replica(Call& call);
  void on_replica_hit(Call& call, std::string_view frame) override;
  void on_replica_miss(Call& call) override;

  // --- engine_opaque.cc: what only Redis can do (R17)
  void mark_opaque(Call& call);
  void on_marked(Call& call, const SubOp& op, const ApplyResult& result);
  void on_unmarked(Call& call, const SubOp& op);
  void send_marked(Call& call);
  void send_opaque(Call& call);
  void on_opaque(Call& call, std::string_view frame);
  void send_alone(Call& call);
  void on_alone(Call& call, std::string_view frame);
  bool select(const Call& call, const FullKey& key, bool back);
  static bool next_of(const Call& call, const FullKey& key, ReplyView::Elements& elements,
                      ReplyView& element);
  bool find_missing(Call& call, ReplyView::Elements& elements) const;
  void judge_missing(Call& call);
  void record_states(Call& call, std::string_view frame);
  void record_state(Call& call, std::uint32_t key_index, const ReplyView& state, Hlc hlc);
  void undo(Call& call, std::string_view error);
  void on_undone(Call& call);
  bool waits_for_debts(Call& call);
  void retry_paying();

  // --- engine_block.cc: MULTI .. EXEC
  bool probes_hold(Call& call, ReplyView::Elements& elements);
  static bool depends_on_absence(const Call& call);
  bool mark_block(Call& call);
  void send_block(Call& call);
  void on_block(Call& call, std::string_view frame);
  void on_block_error(Call& call, std::string_view frame);
  void run_block_standin(Call& call, std::vector<Mutation>& effects);

  void note_elsewhere(std::string_view frame);
  bool may_follow(const Call& call) const;
  // --- engine_keyspace.cc: commands over keys, and flushes
  void submit_keyless(Call& call);
  void note_unmirrored(const Call& call);
  void start_flush(Call& call);
  void on_flush(Call& call, std::string_view frame);
  std::string without_side_keys(const Call& call, std::string_view frame) const;
  void send_dbsize(Call& call);
  void scan_ledger(Call& call);
  void on_ledger_page(Call& call, ScanPage page);

  // --- engine_pinned.cc: WATCH, and commands that may block
  void submit_pinned(Call& call);
  void send_pinned(Call& call, std::string_view request, std::uint32_t replies,
                   std::int64_t deadline_us);
  void on_blocking(Call& call, std::string_view frame);
  void unblock(Call& call);
  void start_watch(Call& call);
  void on_watched(Call& call);
  Hlc watched_version(const RowMeta& meta) const;
  void unwatch(Call& call);
  void forget_watch(std::uint64_t client_id);
  bool watch_allows(Call& call);

  // StoreClient
  void on_applied(std::uint64_t tag, const Error& error, const ApplyResult& result) override;
  void on_loaded(std::uint64_t tag, const Error& error, Row row) override;
  void on_scanned(std::uint64_t tag, const Error& error, ScanPage page) override;

  // ShardEvents, AdopterEvents
  void on_trust(Trust trust) override;
  void on_debt_settled(const FullKey& key) override;
  void on_read_back_wanted(const FullKey& key) override;
  void on_redis_is_truth(std::string_view why) override;
  void on_slot_elsewhere() override {
    if (slot_events_ != nullptr) slot_events_->on_slot_elsewhere();
  }
  void on_push(std::string_view frame) override;
  void on_foreign_row(const FullKey& key) override { forget_what_was(key); }  // FleetViewEvents
  void on_adopted(const FullKey& key) override;
  void forget_what_was(const FullKey& key) {
    c_.cache.erase(key);
    absences_.forget(key);
  }
  void on_not_found(const FullKey& key) override { absences_.remember(key); }
  void on_restored(const FullKey& key, Hlc hlc) override { shard_.owe(key, hlc); }
  void on_heartbeat_lost() override {
    shard_.suspect("its heartbeat key is not the last one written");
  }

  HlcClock own_clock_;
  CoreContext c_;
  PolicyTable policies_;
  Shard shard_;
  std::unique_ptr<FleetView> fleet_;  // of a fleet
  Adopter adopter_;
  TombKeeper tomb_keeper_;
  LogoutWait logout_wait_;
  ReplicaReads replica_reads_;
  Absences absences_;  // empty once adoption is complete
  AuxSide aux_side_;
  Upstream* aux_ = nullptr;
  Pinned* pinned_ = nullptr;
  std::map<std::uint64_t, Watch> watches_;
  ReplyHandler* push_handler_ = nullptr;
  SlotEvents* slot_events_ = nullptr;

  SlotTable<SubOp> subs_;
  std::vector<Call*> fronts_;  // scratch
  std::deque<Call*> ready_;    // to be tried again
  bool running_ready_ = false;
  std::vector<Call*> lost_;     // their connection ended; in the order they were sent
  std::vector<Call*> holding_;  // wait for an answer (unknown = hold)
  std::vector<Call*> paying_;   // wait until their keys are owed nothing
  KeyMap<Row> working_;         // rows of calls under way on the stand-in path
  std::uint64_t order_ = 0;
  std::size_t under_way_ = 0;
  std::string request_;              // scratch
  std::vector<Mutation> mutations_;  // scratch
  ReplySink swallow_;
  std::map<std::uint64_t, FullKey> cursors_;  // SCANs on the ledger; the oldest goes first
  std::uint64_t next_cursor_ = 0;
  std::deque<std::pair<std::uint64_t, FullKey>> told_absent_;  // (client, key): evidence for fences
  double p99_us_ = 0;  // decaying estimate of Redis' slow replies
  bool ledger_ok_ = true;
  bool told_unmirrored_ = false;
  std::uint64_t truths_ = 0;
};

}  // namespace stayd
