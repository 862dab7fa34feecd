// Where the shards of a Redis Cluster are. Its nodes are asked all at once:
//
//   each of ClusterMap::to_ask(): Link ─▶ CLUSTER INFO, CLUSTER NODES
//                                         └─▶ ClusterMap (cluster_map.h) ─▶ on_topology
//
// Rarely while all is well, often while a shard is lost or slots move, and at once after a hint
// (MOVED). Nodes that others know of are asked too, until they are gone (cluster_map.h).
//
// Sans-I/O on a Dialer; loop thread only. Owns its links; what it is given outlives it. Times are
// in the Now that on_tick() brings.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "observe/counters.h"
#include "observe/events.h"
#include "redis/cluster_map.h"
#include "redis/link.h"

namespace stayd {

struct ClusterOptions {
  std::vector<Endpoint> seeds;  // at least one
  // Followed before a restart; what is new to it is told at once, that it is still so when most
  // primaries have answered.
  std::optional<Topology> known;
  // For the nodes: their credentials; the endpoint is unused. With TLS they are named as their
  // certificates name them.
  LinkOptions link;
  std::int64_t ask_interval_ms = 10'000;  // a tenth more or less: many ask the same nodes
  // While a shard is lost, slots are on their way, or there is no topology.
  std::int64_t doubt_interval_ms = 250;
  std::int64_t hint_pause_ms = 100;  // hints within it are one
  // A node that is silent for longer is dialled anew.
  std::int64_t answer_deadline_ms = ClusterMap::kPatienceUs / 1'000;
  std::int64_t tell_after_ms = 2'000;  // that no node answers, that slots are nobody's
};

class ClusterEvents {
 public:
  virtual ~ClusterEvents() = default;
  // Other places, primaries or config-epochs than before, the first ones, or slots returned; on a
  // tick. Valid during the call.
  virtual void on_topology(const Topology& topology) = 0;
  // This node says that the Cluster serves, which it has denied, or it has not answered before.
  virtual void on_node_serves(const Endpoint& node) = 0;
};

struct ClusterStatus {
  Topology topology;               // that is followed; no shards: none yet
  std::uint64_t config_epoch = 0;  // the highest in it
  std::string uncovered;           // slots that are nobody's, as ranges
  std::string moving;              // slots that a node says are on their way
  std::size_t known = 0;           // nodes by their addresses, seeds and learnt
  std::size_t asked = 0;           // of them
  std::size_t answering = 0;       // of those, at present
  bool lost = false;               // none has answered, for tell_after_ms
  std::string trouble;             // why, if none does
};

class ClusterWatch {
 public:
  ClusterWatch(ClusterOptions options, Dialer& dialer, ClusterEvents& events, EventSink& log,
               Counters& counters, Random& random);
  ~ClusterWatch();

  void start(Now now);
  void on_tick(Now now);
  // Some shard's connection is lost (true: all are asked at once, and often) or all work.
  void doubt(bool a_shard_is_lost);
  // Redis has said that a slot is elsewhere.
  void hint() { hinted_ = true; }
  ClusterStatus status() const;
  std::optional<Endpoint> address_of(std::string_view place) const {
    return map_.address_of(place);
  }
  const std::optional<Topology>& topology() const { return map_.followed(); }

 private:
  class Node;

  void ask_all();
  void choose_nodes();
  void elect();
  std::size_t answering() const;
  void tell_of_first() const;
  void tell_of_change(const Topology& next);
  void tell_of_uncovered();
  void tell_of_reach();

  ClusterOptions options_;
  Dialer& dialer_;
  ClusterEvents& events_;
  EventSink& log_;
  Counters& counters_;
  Random& random_;
  Counters of_links_;  // connections that only ask are not connections to Redis
  Now now_;
  ClusterMap map_;
  std::map<std::string, std::unique_ptr<Node>> nodes_;  // by address
  std::optional<Topology> told_;                        // to events_ and log_
  bool confirmed_ = false;                              // since the start
  SlotSet uncovered_, uncovered_told_;                  // slots that are nobody's; told to log_
  std::string trouble_;                                 // the last failure of any node
  std::int64_t next_ask_us_ = 0;
  std::int64_t asked_us_ = 0;
  std::int64_t answered_us_ = 0;  // until then a node was well
  std::int64_t covered_us_ = 0;   // until then no more slots were nobody's than was told
  bool doubted_ = true;
  bool hinted_ = false;
  bool answered_ = false;  // since the nodes to ask were chosen
  bool lost_ = false;
};

}  // namespace stayd
