// The faults of one seed: each kind that the seed has drawn (swarm.h) strikes at random moments, of
// a generator of its own. One loop; belongs to the World.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "sim/scheduler.h"
#include "sim/servers.h"
#include "store/backup/memory/memory_database.h"
#include "store/faulty/faulty_store.h"

namespace stayd::sim {

class Faults;
class Instance;
class World;

inline constexpr std::int64_t kMaxSkewMs = 2000;  // of any host's clock from the true time

struct FaultKind {
  const char* name;
  std::int64_t mean_us;     // between two of them, before the seed's own factor
  bool (*strike)(Faults&);  // false: not possible just now
  // Nothing of the kind happens elsewhere; nullopt: it happens everywhere.
  std::optional<FoundBy> only = std::nullopt;
  bool of_fleet = false;  // where stayds share a backup
};
std::span<const FaultKind> fault_kinds();

class Faults {
 public:
  explicit Faults(World& world);
  void start();
  // Ends every fault under way; none follows.
  void heal();

  // --- the kinds; false: not possible just now
  bool restart_redis();
  bool freeze_redis();
  bool lose_connection();
  bool silence();
  bool refuse(bool ServerFlags::* flag);
  bool evict();
  bool flush();
  bool slow_redis();
  bool slow_network();
  bool kill_stayd();
  bool pause_stayd();
  bool slow_disk();
  bool repeat_backfill();
  bool fail_over_in_a_pause();
  bool fail_over();
  bool strike_twice();
  bool die_slowly();
  bool deny_command();
  bool halve_connection();
  bool delay_connection();
  bool delete_past_stayd();
  bool write_past_stayd();
  bool cut_power();
  bool lie_about_syncs();
  bool fail_disk(FaultyStore::Operation operation);
  bool flip_bit();
  bool jump_clock();
  bool change_region();
  bool move_slots();
  bool move_slots_and_strike();
  bool lose_shard();
  bool cut_primary();
  bool lose_sentinel();
  bool cut_sentinels();
  bool replace_sentinels();
  bool lose_name();
  bool split_name();
  bool dilute_name();
  bool lose_backup(bool MemoryDatabase::* how);
  bool cut_from_backup();

 private:
  void plan(const FaultKind& kind, std::int64_t mean_us);
  std::int64_t between(std::int64_t low_us, std::int64_t high_us);
  void later(std::int64_t delay_us, std::function<void()> action);  // unless healed by then
  Instance& victim();  // of a fault that strikes one stayd; drawn when there are several
  void note(const std::string& text);
  bool adopted() const;
  void await_reconcile(int looked, Instance& one, std::size_t shard);
  bool kill(Instance& one);
  void slow_disk_of(Instance& one);
  bool cut_power_of(Instance& one);
  // Of a fault that strikes one Redis; drawn when there are several.
  std::size_t struck();
  std::string name_of(std::size_t shard) const;
  bool restart_redis(std::size_t shard);
  bool fail_over(std::size_t shard);
  void bring_back(std::size_t shard, std::uint64_t how);
  void start_redis(std::size_t shard, std::uint64_t how);
  void note_loss(const std::string& text);
  std::optional<FullKey> pick_key();  // of Redis; not stayd's own
  void depose(RedisModel& old);
  void wake_standby();
  void promote();
  RedisModel& take_place(std::size_t shard, std::int64_t seen_us);
  void come_back(RedisModel& old);

  World& world_;
  std::vector<std::unique_ptr<Random>> randoms_;  // one for each kind
  Random* random_ = nullptr;                      // of the kind that strikes
  Random promotion_random_;                       // of what Sentinels do by themselves
  bool healed_ = false;
  // The standby was taken over before, and left then; 0: never used.
  bool standby_known_ = false;
  std::int64_t standby_left_us_ = 0;
  std::size_t moved_from_ = 0, moved_to_ = 0;  // the last slots
};

}  // namespace stayd::sim
