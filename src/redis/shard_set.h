// All the shards behind one Redis port: one, which holds everything, or those of a Redis Cluster,
// as the topology names them (docs/adr/0012).
//
//   one:      handler() is its engine
//   Cluster:  handler() is the router ─▶ engines, on shares of the ledger
//
// A new topology with the slots where they were moves connections, no more. When slots change their
// shard: the router holds what is new for the shards concerned, their connections are given up, so
// that what is under way ends by the ledger; then each engine gets its new place and, with the
// slots that it gains, what the others held about their keys; then the router lets go. A slot whose
// move was given up is taken over anew by the shard that has it: Redis got old keys back.
//
// Slots may leave a shard and come back before anybody tells: their keys were elsewhere, and may
// have been lost there. A node that gets slots takes a higher config-epoch, so a rise that nothing
// else explains says that the shard's may have been away: its rows are all written, as if it had
// gained its slots.
//
// Which shard is which outlives a restart, and so does what is believed of each: a shard's facts
// stand in the ledger under its number. Sans-I/O; loop thread only. Owns the shards; what it is
// given outlives it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fleet_store.h"
#include "core/ledger_end.h"
#include "core/shard_router.h"
#include "core/store_share.h"
#include "redis/shard_stack.h"
#include "redis/topology.h"

namespace stayd {

struct ShardSetOptions {
  StackOptions stack;  // of a Cluster: the endpoint is unused, the near cache is divided
  bool cluster = false;
  // The store is this fleet's, with its clock; outlives the set. Not of a Cluster.
  FleetStore* fleet = nullptr;
  HlcClock* clock = nullptr;
  // Slots may change their shards one by one, many times a second; each change gives up
  // connections. Meanwhile the ledger answers for slots that are elsewhere.
  std::int64_t settle_ms = 1'000;
  // After a start, which shard has which slots is asked before any is dialled, for so long at most:
  // the ledger may know it from before a power cut, or a move.
  std::int64_t ask_first_ms = 1'000;
};

class ShardSet final : private SlotEvents {
 public:
  static constexpr std::size_t kMaxShards =
      500;  // half of Redis' own limit of nodes; more: refused

  ShardSet(ShardSetOptions options, std::vector<SessionPolicy> policies, Store& store,
           Dialer& dialer, Counters& counters, EventSink& events, Random& random);
  ~ShardSet() override;

  // `hint`: a slot is, or may be elsewhere; comes often.
  void set_hint(std::function<void()> hint) { hint_ = std::move(hint); }
  // Which node of the Cluster is called "host:port"; without it only by the address it is dialled
  // at.
  using NodeOf = std::function<std::optional<Endpoint>(std::string_view place)>;
  void set_node_of(NodeOf node_of) { node_of_ = std::move(node_of); }
  void set_push_handler(ReplyHandler* handler);
  void start(Now now);
  void set_now(Now now);
  void on_tick(Now now);
  void on_turn_end() { store_.submit(); }

  CallHandler& handler();
  // Another Redis is used from now on: the one of that name, at `primary` or, of a Cluster, where
  // `topology` says. What was planned for the one of before is dropped.
  struct Destination {
    std::string region;
    Endpoint primary;
    const Topology* topology = nullptr;
    Credentials* credentials = nullptr;
    bool tls = false;
    std::vector<std::string> replicas;  // as in EngineOptions
  };
  void lead_to(const Destination& to, std::string_view cause);
  // Of one shard: the primary is elsewhere.
  void move_to(const Endpoint& primary, std::string_view cause);
  // Of a Cluster.
  void on_topology(const Topology& topology);
  // Who the replicas of its primaries are.
  void name_replicas(const Topology& topology);
  // A shard whose primary is there is dialled at once, if it is not connected.
  void hurry(const Endpoint& node);
  void replace_policies(const std::vector<SessionPolicy>& policies);
  void restart_adoption();

  bool up() const;                // every shard is connected
  Endpoint some_primary() const;  // for what any node can do: one that is up, if there is any
  std::size_t calls_under_way() const;
  std::vector<LoginProbeStatus> login_probes() const;
  // Sums, and the shard that is least trusted; `shards`: each, of a Cluster.
  EngineStatus status() const;
  // Of a Cluster: the one that the slot belongs to.
  const Engine& engine_of(Slot slot) const;

 private:
  struct Unit {
    std::string id;
    std::uint64_t version = 1;  // of its place
    SlotSet slots;
    Endpoint primary;
    std::uint64_t config_epoch = 0;     // its primary's, as it is followed; 0: not known
    SlotSet away;                       // were elsewhere, in a topology that has not been followed
    std::unique_ptr<StoreShare> share;  // nullptr: the one shard
    std::unique_ptr<ShardStack> stack;
  };
  // What a topology makes of the units, by their index; further ones are new.
  struct Plan {
    std::vector<SlotSet> slots;
    std::vector<Endpoint> primaries;
    std::vector<std::uint64_t> config_epochs;
    std::vector<SlotSet> returned;  // may have been elsewhere in between; of the units there are
    bool moves_slots = false;       // or some have returned
  };

  void load();
  void save();
  Unit make_unit(std::string id, std::uint64_t version, const SlotSet& slots,
                 const Endpoint& primary, bool dial);
  void dial_as_known();
  void judge_end();
  Plan plan_for(const Topology& topology) const;
  std::vector<std::optional<std::size_t>> match(const Topology& topology) const;
  void find_returned(Plan& plan) const;
  void note_away(const Plan& heard);
  void note_time(Now now);
  void follow(const Topology& topology);
  void move_connections(const Plan& plan);
  void begin(Plan plan);
  bool concerned(const Plan& plan, std::size_t unit) const {
    return plan.slots[unit] != units_[unit].slots || plan.returned[unit].any();
  }
  bool concerned(std::size_t unit) const { return concerned(*plan_, unit); }
  bool quiet() const;
  void carry_out();
  void on_slot_elsewhere() override {
    if (hint_) hint_();
  }
  void on_redirected(Call& call, std::string_view frame) override;
  void tell_router();

  ShardSetOptions options_;
  std::vector<SessionPolicy> policies_;
  Store& store_;
  Dialer& dialer_;
  Counters& counters_;
  EventSink& events_;
  Random& random_;
  std::function<void()> hint_;
  NodeOf node_of_;
  ReplyHandler* push_handler_ = nullptr;
  std::unique_ptr<SharedStore> shared_;    // nullptr: one shard
  std::unique_ptr<LedgerEnd> ledger_end_;  // nullptr: one shard
  bool end_is_judged_ = false;             // by all
  std::vector<Unit> units_;
  std::uint64_t next_id_ = 1;
  ShardRouter router_;
  std::optional<Plan> plan_;        // under way: the shards concerned are being quieted
  std::optional<Topology> latest_;  // came while that was so, or too soon behind it
  SlotSet returned_;                // in topologies that have not been followed yet
  std::int64_t settled_us_ = 0;     // when the last one was carried out
  std::int64_t started_us_ = 0;
  bool asks_first_ = false;
  Now now_;
};

}  // namespace stayd
