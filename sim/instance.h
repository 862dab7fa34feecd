// One stayd process in the simulator: the real Engine and two real Links, with the real
// SentinelWatch or NameDialer where Sentinels or a name lead to the primary, or of a Redis Cluster
// the real ShardSet, on simulated network and disk. Can be killed, started again and paused. One
// loop; owned by the World.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "core/engine.h"
#include "core/fleet_store.h"
#include "redis/link.h"
#include "redis/name_dialer.h"
#include "redis/replica_link.h"
#include "redis/sentinel.h"
#include "redis/shard_set.h"
#include "sim/diary.h"
#include "sim/disk.h"
#include "sim/network.h"
#include "sim/scheduler.h"
#include "sim/servers.h"
#include "store/backup/memory/memory_backup.h"

namespace stayd::sim {

// Why an error may reach a client.
enum class Excuse : std::uint8_t { unwritable, unreadable, denied };

inline constexpr const char* kFirstRegion = "first";

struct InstanceOptions {
  EngineOptions engine;
  std::vector<Endpoint> sentinels;  // that it knows at first; where there are any
  std::vector<SessionPolicy> policies;
};

class Instance final : public EventSink, private SentinelEvents, private AddressDialer {
 public:
  // `name` stands in the diary before what this one does; empty where it is the only one.
  Instance(Scheduler& scheduler, Random& random, Servers& servers, Diary& diary,
           InstanceOptions options, std::string name);

  // Shares this backup from its next start on.
  void join(MemoryDatabase& backup) { database_ = &backup; }
  void cut_from_backup(bool yes);
  bool is_cut_from_backup() const { return cut_from_backup_; }

  std::string fleet_text() const;
  bool has_read_feed() const { return fleet_ && fleet_->status().feed_read_us != 0; }
  std::size_t unshipped() const { return fleet_ ? fleet_->status().unshipped : 0; }
  bool alive() const { return engine_ != nullptr || set_ != nullptr; }
  void start();
  // kill -9: nothing is said to anybody; what the disk has written stays.
  void kill();
  // SIGSTOP for a while: nothing happens inside, everything waits outside.
  void pause(std::int64_t duration_us);
  bool paused() const { return paused_until_us_ > scheduler_.now_us(); }
  std::int64_t paused_until_us() const { return paused_until_us_; }  // 0: it does not stand still
  std::int64_t paused_from_us() const { return paused_from_us_; }    // the last time
  // When the process last stood still, or its disk was slow: no promise of speed before that.
  std::int64_t disturbed_us() const { return disturbed_us_; }
  void note_disturbance() { disturbed_us_ = std::max(disturbed_us_, scheduler_.now_us()); }
  // Its disk, its network or Redis is slow for a while: the bound is four times as long for what is
  // asked until then.
  void allow_slowness(std::int64_t lasts_us) {
    slow_until_us_ = std::max(slow_until_us_, scheduler_.now_us() + lasts_us);
  }
  std::int64_t slow_until_us() const { return slow_until_us_; }
  // An error of this kind is excused in commands that are asked until then.
  void excuse(Excuse what, std::int64_t lasts_us) {
    auto& until_us = excused_until_us_[static_cast<std::size_t>(what)];
    until_us = std::max(until_us, scheduler_.now_us() + lasts_us);
  }
  std::int64_t excused_until_us(Excuse what) const {
    return excused_until_us_[static_cast<std::size_t>(what)];
  }

  // Requires alive().
  void submit(Call& call);
  // Another region's Redis is behind the address. `known`: it was taken over before.
  void change_region(bool known);
  void restart_adoption() { set_ ? set_->restart_adoption() : engine_->restart_adoption(); }
  EngineStatus status() const { return set_ ? set_->status() : engine_->status(); }
  // As the shard of this key sees it.
  EngineStatus status_of(const FullKey& key) const {
    return set_ ? set_->engine_of(slot_of(key_of(key))).status() : engine_->status();
  }
  Trust trust(std::size_t shard) const;
  std::size_t calls_under_way() const;
  // Works, believes Redis, and owes nothing to anybody.
  bool in_step() const;
  // Is where the primary is, as far as it is a matter of who tells that.
  bool follows_primary() const;
  bool talks_to_old() const;  // the primary of before
  bool knows_all_sentinels() const {
    return sentinels_ && sentinels_->status().known == Sentinels::kCount;
  }
  const std::string& name() const { return name_; }
  // Has heard of everything that Redis held at first; dead or alive. Of a Cluster, but for what has
  // moved meanwhile: it has not settled().
  bool adopted() const;
  bool settled() const;
  const Counters& counters() const { return counters_; }

  // The host's clock, which may differ from the others'.
  void set_clock(std::int64_t offset_ms) { disk_.clock_offset_ms = clock_offset_ms_ = offset_ms; }
  // Hears of every event of stayd, just as it happens.
  void watch(std::function<void(const Event&)> on_event) { on_event_ = std::move(on_event); }

  Network& network() { return network_; }
  const Network& network() const { return network_; }
  Disk& disk() { return disk_; }
  const Disk& disk() const { return disk_; }
  void note(const std::string& text) { diary_.note(name_ + text); }

 private:
  void start_engine();
  void start_set();
  void start_fleet();
  void run_backup();
  void start_sentinels();
  void on_primary(const Endpoint& primary) override;
  void make_name_dialer();
  std::unique_ptr<Transport> dial_address(const Address& address, std::int64_t connect_timeout_ms,
                                          TransportEvents& events) override;
  void on_topology(const Topology& topology);
  bool follows_topology() const;
  void tick_all();
  void on_event(const Event& event) override;
  void deliver(std::function<void()> action);
  void turn(const std::function<void()>& action);
  void tick(std::uint64_t life);
  Now now() const {
    Now now = scheduler_.now();
    now.wall_ms += clock_offset_ms_;
    return now;
  }

  Scheduler& scheduler_;
  Random& random_;
  Servers& servers_;
  Diary& diary_;
  InstanceOptions options_;
  std::string name_;
  Counters counters_;
  Network network_;
  Disk disk_;
  std::unique_ptr<Random> engine_random_;
  MemoryDatabase* database_ = nullptr;  // of a fleet:
  std::unique_ptr<MemoryBackup> backup_;
  bool cut_from_backup_ = false;
  std::unique_ptr<FleetStore> fleet_;
  HlcClock hlc_;
  std::int64_t backup_run_us_ = 0;  // when it is run next; 0: no time is planned
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<HostResolver> resolver_;  // nullptr: there is no name that moves
  std::unique_ptr<NameDialer> by_name_;     // likewise
  std::unique_ptr<Link> data_, aux_;
  std::unique_ptr<ReplicaLink> replica_;      // nullptr: replicas are not asked
  std::unique_ptr<SentinelWatch> sentinels_;  // nullptr: the primary stays where it is
  std::unique_ptr<ShardSet> set_;             // of a Cluster, instead of these
  std::size_t ear_ = 0;                       // hears of the Cluster's topology
  bool asks_ = false;                         // ... and has asked for it
  bool adopted_ = false;                      // when it was killed
  std::uint64_t life_ = 0;
  std::int64_t paused_from_us_ = 0;
  std::int64_t paused_until_us_ = 0;
  std::int64_t disturbed_us_ = 0;
  std::int64_t slow_until_us_ = 0;
  std::array<std::int64_t, 3> excused_until_us_{};
  std::int64_t clock_offset_ms_ = 0;
  std::function<void(const Event&)> on_event_;
  std::deque<std::function<void()>> waiting_;  // events of the process while it is paused
};

using Instances = std::vector<std::unique_ptr<Instance>>;

}  // namespace stayd::sim
