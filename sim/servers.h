// The Redis servers of a world: a standalone one, one that moves as Sentinels or its name tell, or
// the primaries of a Redis Cluster, each a shard with slots, a memory and an address of its own
// (docs/adr/0012). Slots move between shards key by key; whoever listens hears later who has which.
// One loop; owned by the World.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "redis/topology.h"
#include "sim/names.h"
#include "sim/redis_model.h"
#include "sim/scheduler.h"
#include "sim/sentinels.h"

namespace stayd::sim {

// How stayd finds its Redis.
enum class FoundBy : std::uint8_t {
  address,    // it stays at one
  cluster,    // the nodes tell
  sentinels,  // they name it
  name,       // that leads to it
};

class Servers {
 public:
  using Listener = std::function<void(const Topology&)>;

  // `random`: of the servers themselves; `own`: of what makes them a Cluster.
  Servers(Scheduler& scheduler, Random& random, Random own, int shards, FoundBy found_by);

  bool cluster() const { return found_by_ == FoundBy::cluster; }
  Sentinels* sentinels() { return sentinels_.get(); }  // nullptr: there are none
  const Sentinels* sentinels() const { return sentinels_.get(); }
  Names* names() { return names_.get(); }  // nullptr: no name that moves
  const Names* names() const { return names_.get(); }
  std::size_t size() const { return shards_.size(); }
  RedisModel& operator[](std::size_t shard) { return *shards_[shard].primary; }
  const RedisModel& operator[](std::size_t shard) const { return *shards_[shard].primary; }
  // The primary that has the key's slot.
  std::size_t shard_of(const FullKey& key) const;
  RedisModel& of(const FullKey& key) { return (*this)[shard_of(key)]; }
  const RedisModel& of(const FullKey& key) const { return (*this)[shard_of(key)]; }
  // Nowhere; a key of a slot that is moving may be where the slot goes.
  bool lack(const FullKey& key) const;
  // Whether the server at this address has not, or not wholly, the key's slot.
  bool elsewhere(const FullKey& key, std::string_view address) const;
  bool ever_took(const FullKey& key) const;  // evicted, or deleted past stayd
  // What everybody may read: keys in slots that their server has.
  std::set<FullKey> keys() const;

  // By its address; a deposed primary keeps its own. nullptr: nobody is there. Who dials kReplica
  // gets a replica of the first server as it is, or was when it was killed, without its last
  // changes.
  static constexpr std::string_view kReplica = "replica";
  Server* at(const Endpoint& endpoint);
  RedisModel* redis_at(const Endpoint& endpoint);
  Endpoint endpoint(std::size_t shard) const { return place(shards_[shard].port); }
  std::size_t shard_at(std::string_view address) const;  // of a deposed primary too

  // A replica without the last `lost_changes` takes over, at the same address only where nobody
  // could tell of another. Returned: the server of before.
  RedisModel& promote(std::size_t shard, std::size_t lost_changes);
  // The Redis of another region (docs/adr/0015), which nobody uses at present; not of a Cluster.
  RedisModel& standby() { return *standby_; }
  bool two_primaries() const;
  RedisModel* deposed(std::size_t shard) const;  // the last one; nullptr: none

  // --- of a Cluster
  // Slots go from one shard to another: in `steps` parts, `pause_us` for each key. False: some are
  // on their way already, or there is nothing to move.
  bool move_slots(std::size_t from, std::size_t to, const SlotSet& slots, std::size_t steps,
                  std::int64_t pause_us);
  bool moving() const { return !parts_.empty(); }
  const SlotSet& slots(std::size_t shard) const { return (*this)[shard].place->own; }
  Topology topology() const;
  // Hears of each change, 50 ms to 2 s later, in order. Returns the listener's number.
  std::size_t listen(Listener listener);
  // It hears after `delay_us` what is so now; not before what it was told earlier.
  void tell(std::size_t listener, std::int64_t delay_us);

 private:
  struct Shard {
    std::unique_ptr<RedisModel> primary;
    std::uint16_t port = 0;  // by name: stands for an address
    std::uint64_t epoch = 1;
    std::vector<std::unique_ptr<RedisModel>> deposed;
    std::vector<std::uint16_t> deposed_ports;
  };
  struct Ear {
    Listener listener;
    std::int64_t last_us = 0;  // when it hears what it was told last
  };

  Endpoint place(std::uint16_t port) const;
  RedisModel* replica();
  void on_changed();
  std::uint64_t highest_epoch() const;
  void begin_part();
  void move_on();
  static bool takes_part(const RedisModel& server);

  Scheduler& scheduler_;
  Random own_;
  FoundBy found_by_;
  std::vector<Shard> shards_;
  Random standby_random_;
  std::unique_ptr<RedisModel> standby_;
  std::vector<Ear> ears_;
  std::vector<std::unique_ptr<RedisModel>> replicas_;  // one for each connection
  std::deque<SlotSet> parts_;  // of the move under way; the first one is migrating
  std::size_t from_ = 0, to_ = 0;
  std::int64_t pause_us_ = 0;
  std::unique_ptr<Sentinels> sentinels_;
  std::unique_ptr<Names> names_;
};

}  // namespace stayd::sim
