// Who has which slot of a Redis Cluster, from what all its nodes say. Pure: answers and the time go
// in, the topology comes out. One thread; owns all it holds. Times are Now::mono_us.
//
// For each slot, of all claims in answers that are not too old (each node tells of all nodes):
//
//   highest config-epoch wins  as in Redis itself: a primary that was cut off is at an older one
//   a node's own word          no claim for a node counts that it does not make itself, when it
//                              answers at that epoch: others keep what they have not heard of
//   equal epochs               the followed primary, then what a node says whose cluster state is
//                              ok, then what one says whose state is fail
//   an epoch not above the     counts for another primary when the followed one itself, at its
//   followed                   epoch, has dropped the slot; or (the cluster was set up anew) when
//                              the answers cover all slots, and nodes whose state is ok answer at
//                              more than half of the addresses that the followed primaries have,
//                              as far as those are known. No answer says then what is followed,
//                              or it would win
//   no claim at all            the slot stays, unless the followed primary itself has dropped it
//   a slot that was on its     has returned if it is not where it was to go: keys that had gone
//   way, as a node said        there may have been brought back (Topology::returned), or are
//                              still to be: it returns once more when answers would be too old
//   the first topology         waits for most of the primaries in it, with the state ok, at most
//                              kPatienceUs; one without any slot is never followed
//
// Answers are told apart by the node's id: two addresses of one node have one voice. A node that
// was learnt is forgotten when it is silent and no answer names it for kForgetUs, while there are
// answers with the state ok: what few nodes say that are cut off from the others is state fail.
// Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "redis/cluster_nodes.h"
#include "redis/topology.h"

namespace stayd {

class ClusterMap {
 public:
  static constexpr std::size_t kMaxNodes = 1'000;  // as Redis advises; further ones are not learnt
  static constexpr std::size_t kMaxAsked = 32;     // at a time
  static constexpr std::int64_t kAnswerValidUs = 15'000'000;  // older answers say nothing
  static constexpr std::int64_t kForgetUs = 60'000'000;
  static constexpr std::int64_t kPatienceUs = 500'000;  // one answer's deadline

  struct Answer {
    ClusterView view;
    bool state_ok = false;  // CLUSTER INFO: cluster_state
  };

  // A node that the operator named: never forgotten, asked before all others.
  void add_seed(const Endpoint& address);
  // What was followed before a restart. Requires: nothing is followed yet.
  void resume(Topology topology, std::int64_t now_us);
  // From the node at an address of to_ask(); all nodes in it are learnt.
  void on_answer(const Endpoint& asked, Answer answer, std::int64_t now_us);
  void forget(std::int64_t now_us);
  // Weighs all answers. True: other places, primaries or config-epochs than before, or the first.
  bool elect(std::int64_t now_us);
  // Most of the primaries followed have answered, or there has been time.
  bool confirmed(std::int64_t now_us) const;

  const std::optional<Topology>& followed() const { return followed_; }
  // A node says that slots are on their way.
  bool slots_move() const { return !moving_.empty(); }
  SlotSet moving() const {
    SlotSet out;
    for (const auto& [slot, id] : moving_) out.set(slot);
    return out;
  }
  // Slots that the topology gives nobody.
  SlotSet uncovered() const;
  // The node that MOVED or ASK call "host:port": by whichever of its names they do.
  std::optional<Endpoint> address_of(std::string_view place) const;
  // At most kMaxAsked: seeds, then primaries, then the others.
  std::vector<Endpoint> to_ask() const;
  std::size_t known() const { return nodes_.size(); }                                // addresses
  std::size_t answering(std::int64_t now_us) const { return fresh(now_us).size(); }  // nodes

 private:
  struct Node {
    Endpoint address;
    bool seed = false;
    bool primary = false;  // with slots, as it was last named
    std::int64_t named_us = 0;
    Answer answer;
    std::int64_t at_us = -1;  // of the answer; -1: none
  };
  using Fresh = std::map<std::string, const Node*>;  // by the node's id
  class Merge;

  void learn(const Endpoint& address, bool primary, std::int64_t now_us);
  bool is_fresh(const Node& node, std::int64_t now_us) const;
  Fresh fresh(std::int64_t now_us) const;
  bool most_followed_places_are_ok(const Fresh& answers, std::int64_t now_us) const;
  SlotSet note_moving(const Fresh& answers, const Topology& next, std::int64_t now_us);
  bool settled(const Topology& first, const Fresh& answers, std::int64_t now_us) const;

  std::map<std::string, Node> nodes_;  // by address
  std::optional<Topology> followed_;
  std::map<std::uint16_t, std::string> moving_;  // slots, and the nodes that they are to go to
  std::map<std::uint16_t, std::int64_t> returns_at_us_;  // once more
  std::int64_t first_claim_us_ = -1;  // when an answer first gave any slot to anybody
  bool changed_ = false;              // since it was last weighed
  std::int64_t weigh_at_us_ = 0;      // when time alone changes what the answers say
};

}  // namespace stayd
