// What one node of a Redis Cluster says of all: the reply to CLUSTER NODES, of Redis 3 to 7.2 and
// Valkey. Pure.
//
//   <id> <ip>:<port>[@<bus port>][,<hostname>[,<name>=<value>...]] <flags> <primary's id or "-">
//     <ping sent> <pong received> <config-epoch> <link-state> [<slot> | <first>-<last>]...
//     [[<slot>->-<id>]...] [[<slot>-<-<id>]...]
//
// Slots on their way ("[...]", only of the node that was asked) belong to whom they are listed with
// until the move is made.
// Source: https://redis.io/docs/latest/commands/cluster-nodes/
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "redis/topology.h"

namespace stayd {

struct ClusterNode {
  std::string id;
  Endpoint address;                // not known(): the node that was asked does not know it either
  std::string other_host;          // its host name beside an address, or the other way round
  bool primary = false;            // takes writes, or would if it had slots
  std::string primary_id;          // of a replica, if it is known
  bool failing = false;            // the node that was asked does not reach it
  std::uint64_t config_epoch = 0;  // of a replica: its primary's
  std::vector<SlotRange> slots;
  friend bool operator==(const ClusterNode&, const ClusterNode&) = default;
};

struct ClusterView {
  std::vector<ClusterNode> nodes;  // without those that are only shaking hands: they have no id yet
  std::size_t myself = 0;          // the index of the node that was asked
  std::map<std::uint16_t, std::string> moving;  // slots on their way from or to it: where they go
  const ClusterNode& self() const { return nodes[myself]; }
  friend bool operator==(const ClusterView&, const ClusterView&) = default;
};

// Over TLS, nodes are named as their certificates name them.
enum class NodeNames : std::uint8_t {
  addresses,
  hostnames,  // where they are announced; addresses elsewhere
};

// `asked`: where the node was asked; stands in for its own address as long as it does not know it.
// nullopt: this is no such reply, or not all of it.
std::optional<ClusterView> parse_cluster_nodes(std::string_view text, const Endpoint& asked,
                                               NodeNames names = NodeNames::addresses);

}  // namespace stayd
