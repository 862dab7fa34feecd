// The faults of one seed: each seed enables a random subset, each with a rate of its own ("swarm"),
// because faults that never happen together hide what happens when one comes alone. One loop;
// belongs to World::run.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/random.h"

namespace stayd::sim {

class World;

class Faults {
 public:
  explicit Faults(World& world);
  void start();
  // Ends every fault under way; none follows.
  void heal();

 private:
  struct Kind {
    const char* name;
    std::int64_t mean_us;  // between two of them, before the seed's own factor
    std::function<void()> strike;
  };
  void plan(std::size_t kind, std::int64_t mean_us);
  std::int64_t between(std::int64_t low_us, std::int64_t high_us);
  void later(std::int64_t delay_us, std::function<void()> action);  // unless healed by then
  void note(const char* text);
  bool adopted() const;

  void restart_redis();
  void freeze_redis();
  void lose_connections();
  void silence();
  void refuse(int what);
  void evict();
  void flush();
  void slow_redis();
  void slow_network();
  void kill_stayd();
  void pause_stayd();
  void slow_disk();

  World& world_;
  Random random_;
  std::vector<Kind> kinds_;
  bool healed_ = false;
};

}  // namespace stayd::sim
