// The whole simulated world of one seed: a Redis or a Redis Cluster, stayds on networks and disks
// of their own, users, faults, and the checks at the end. A run has two phases: faults, then
// healing, after which everything must be in step again (I14 of docs/architecture.md). The same
// options give the same run, and the same hash, in every build.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "sim/faults.h"
#include "sim/instance.h"
#include "sim/redis_model.h"
#include "sim/scheduler.h"
#include "sim/servers.h"
#include "sim/swarm.h"
#include "sim/users.h"
#include "sim/witness.h"

namespace stayd::sim {

struct WorldOptions {
  std::uint64_t seed = 1;
  double minutes = 10;               // of faults, simulated
  std::optional<int> instances = 1;  // stayds; drawn if not given
  FoundBy found_by = FoundBy::address;
  int shards = 1;          // of a Cluster: more
  bool fleet = false;      // the stayds share a backup
  bool faults = true;      // a random subset, at random rates
  bool fill_redis = true;  // Redis holds sessions before stayd has ever run
  std::optional<std::set<std::string>> only_faults;    // these kinds instead of drawn ones
  std::map<std::string, std::int64_t> fault_means_us;  // kind -> mean pause; drawn
  std::int64_t backfill_held_us = 0;                   // Redis refuses SCAN for so long; drawn
  std::int64_t redis_ahead_ms = 0;                     // Redis' clock, all the time; drawn
  std::optional<FullKey> watched;  // its history tells of every change, and is always reported
  UsersOptions users;
  InstanceOptions instance;
};

class World {
 public:
  explicit World(WorldOptions options);

  // Both phases. False: something impossible happened; `report` tells.
  bool run();
  // Seed, key, history of the key, last state changes.
  std::string report(const FullKey& key) const;
  std::string report() const { return report(users.violated_key()); }

  // --- for directed scenarios
  void settle();                        // until TRUSTED, adopted and without debts
  void pass(std::int64_t duration_us);  // lets time pass
  bool heal_and_check();
  void kill_stayd(Instance& one);
  void kill_stayd() { kill_stayd(instance); }
  void restart_stayd(std::int64_t after_us);
  // Something that makes a Redis lose keys. What no ledger knows yet is lost for good.
  void lose_keys(std::size_t shard, const std::function<void()>& how);
  // Of one stayd's host; Redis stays up. stayd is dead then.
  void cut_power(Instance& one);
  void cut_power() { cut_power(instance); }

  const WorldOptions given;    // as handed to the constructor
  const WorldOptions options;  // and what was drawn from the seed
  Scheduler scheduler;
  Diary diary{scheduler};
  Random random;
  Servers servers;
  RedisModel& redis;      // the first one
  MemoryDatabase backup;  // of a fleet
  const Instances instances;
  Instance& instance;  // the first one
  Users users;
  std::map<std::string, std::uint64_t> faults_struck;  // by kind
  // When Redis was last taken for the truth: a snapshot of before brings back logouts (W6).
  std::int64_t truth_us = 0;

 private:
  Instances make_instances();
  void set_up_servers();
  void note_watched(std::string text);
  bool stop();  // something impossible has happened
  void on_evicted(const FullKey& key);
  void on_stray(std::string_view bytes);
  void on_event(const Instance& one, const Event& event);
  std::string address_in(const Event& event) const;
  SlotSet slots_of(const Instance& one, const Event& event) const;
  // promises.cc
  std::set<FullKey> acknowledged_tombs(const Instance& one) const;
  void check_logouts_of_power_cut(const Instance& one, const std::set<FullKey>& buried);
  void check_position(const Instance& one, const Event& event);
  void check_deletion_by_stranger();
  void check_followed();
  bool is_told(const Instance& one) const;
  bool equal_in_redis(const FullKey& key) const;
  // By the true time; 0: never.
  std::int64_t expiry_in_redis(const FullKey& key, const Record& record) const {
    const auto offset_ms = servers.of(key).clock_offset_ms;
    return record.expires_at_ms == 0 ? 0 : record.expires_at_ms - offset_ms;
  }
  std::int64_t expiry_in_ledger(const FullKey& key, const Record& record) const {
    const auto offset_ms = users.home(key).disk().clock_offset_ms;
    return record.expires_at_ms == 0 ? 0 : record.expires_at_ms - offset_ms;
  }
  // A touch is told to the others of a fleet within a minute.
  std::int64_t expiry_slack_ms() const {
    return options.users.expiry_slack_ms + (options.fleet ? 60'000 : 0);
  }
  void fill_redis();
  bool in_step() const;
  std::string out_of_step() const;
  bool wait_in_step(std::int64_t limit_us);
  void compare();
  void compare_key(const FullKey& key);
  std::int64_t latest_expiry(const FullKey& key, const Row& row) const;
  void compare_roaming(const FullKey& key);
  void compare_backup();  // world_backup.cc
  void compare_in_backup(const FullKey& key, const Row& row);

  // By stayd; of a Cluster some slots' rows, as stayd has divided them: the rest may follow.
  std::map<const Instance*, SlotSet> ends_lost_;       // by a power cut; until Redis is the truth
  std::map<const Instance*, SlotSet> filled_anew_;     // from Redis
  std::map<const Instance*, std::int64_t> astray_us_;  // is told where Redis is, and is not there
  Faults faults_;
  std::optional<Witness> witness_;
};

}  // namespace stayd::sim
