// The Redises that stayd may use, and which of them it uses (docs/adr/0015). One is always in use;
// the shards, the ledger and the clients stay when it becomes another:
//
//   RegionChoice, `stayd switch` ─▶ new commands wait (EngineGate) ─▶ those under way end, for
//   kDrainUs at most ─▶ connections, logins and topology are the other one's ─▶ once it is there,
//   after kArriveUs at most, new commands go on
//
// The other Redis is a memory like one that was away: SUSPECT until every row that it may lack is
// written to it, tombstones first; the ledger answers meanwhile. Which one is in use, which was
// chosen by hand, and whose keys are all in the ledger are durable facts.
//
// Loop thread only. Owns the regions; what it is given outlives it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/engine_gate.h"
#include "daemon/region.h"
#include "redis/link.h"
#include "redis/shard_set.h"

namespace stayd {

class Regions final : private RegionEvents {
 public:
  static constexpr std::int64_t kDrainUs = 100'000;
  static constexpr std::int64_t kArriveUs = 150'000;

  Regions(const Config& config, Region::Parts parts);
  ~Regions() override;

  // Reads TLS files, and which one is in use. Errors: invalid.
  Result<void> start();
  // Dials the one in use, whichever it is then.
  Dialer& dialer() { return dialer_; }
  Region& in_use() { return *regions_[in_use_]; }
  // The connections that follow the one in use; begins to look for primaries.
  void attach(ShardSet& shards, EngineGate& gate, Link& pubsub);
  void on_tick(Now now);
  // Takes up passwords.
  void reload(const Config& fresh);

  // By hand. What is being done, for people. Errors: invalid, why not.
  Result<std::string> switch_to(std::string_view name, bool force);
  Result<std::string> prefer_order();  // none is chosen by hand any more
  Result<std::string> drain(std::string_view name, bool drained);

  std::vector<RegionStatus> status() const;  // empty: there is only one
  bool waits_for_backfill() const { return choice_.waits_for_backfill(); }

 private:
  class SwitchedDialer final : public Dialer {
   public:
    void use(Dialer& dialer) { dialer_ = &dialer; }
    std::unique_ptr<Transport> dial(const Endpoint& endpoint, std::int64_t connect_timeout_ms,
                                    TransportEvents& events) override {
      return dialer_->dial(endpoint, connect_timeout_ms, events);
    }

   private:
    Dialer* dialer_ = nullptr;
  };
  // A switch under way: what is under way ends, then the other one is dialled.
  struct Pending {
    std::size_t to;
    std::string why;
    bool planned;  // the one in use works, and is left only with all that it knows
    std::int64_t until_us;
    bool arriving = false;
  };

  bool several() const { return regions_.size() > 1; }
  std::optional<std::size_t> index_of(std::string_view name) const;
  std::size_t preferred() const;
  void on_primary(Region& region, const Endpoint& primary) override;
  void on_topology(Region& region, const Topology& topology) override;
  void on_node_serves(Region& region, const Endpoint& node) override;
  void choose();
  void begin(std::size_t to, std::string why, bool planned);
  void go_on();
  void give_up_switch();
  void carry_out();
  void lead_to(Region& region);
  void follow_with_pubsub();
  bool is_known(std::size_t region) const;
  void take_over(const EngineStatus& status);
  void note_truth(const EngineStatus& status);
  void tell_of_waiting();
  void tell_of_health();
  void note_list(std::string_view fact, const std::string& entry, bool listed);

  Region::Parts parts_;
  SwitchedDialer dialer_;
  std::vector<std::unique_ptr<Region>> regions_;
  RegionChoice choice_;
  std::size_t in_use_ = 0;
  std::optional<std::size_t> by_hand_;
  std::vector<bool> told_well_;  // by index
  bool told_waits_ = false;
  bool taking_over_ = false;  // the backfill of the one in use has begun since it is in use
  bool of_another_ = false;   // ... until then: that of another one has ended, or is under way
  std::uint64_t truths_ = 0;  // of the engines, as far as it was noted
  std::optional<Pending> pending_;
  ShardSet* shards_ = nullptr;
  EngineGate* gate_ = nullptr;
  Link* pubsub_ = nullptr;
  Now now_;
  std::int64_t next_choice_us_ = 0;
};

}  // namespace stayd
