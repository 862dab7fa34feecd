// Any bytes are either one node's view of a Redis Cluster, or nothing. What is followed for it is a
// topology that its text gives back; so is every text that is taken for one.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "redis/cluster_map.h"

namespace {

using namespace stayd;

void check_topology(std::string_view text) {
  const auto topology = Topology::parse(text);
  if (topology) STAYD_ASSERT(topology->to_text() == text);
}

void follow(const ClusterView& view, const Endpoint& asked) {
  ClusterMap map;
  map.add_seed(asked);
  map.on_answer(asked, {view, true}, 0);
  if (!map.elect(ClusterMap::kPatienceUs)) return;
  const Topology& followed = *map.followed();
  STAYD_ASSERT((followed.covered() & map.uncovered()).none());
  const auto again = Topology::parse(followed.to_text());
  STAYD_ASSERT(again && *again == followed);
  // The same once more changes nothing.
  map.on_answer(asked, {view, false}, ClusterMap::kPatienceUs);
  STAYD_ASSERT(!map.elect(ClusterMap::kPatienceUs + 1));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Endpoint asked{"seed", 6379, ""};
  check_topology(bytes);
  for (const auto names : {NodeNames::addresses, NodeNames::hostnames}) {
    const auto view = parse_cluster_nodes(bytes, asked, names);
    if (!view) continue;
    STAYD_ASSERT(view->myself < view->nodes.size());
    follow(*view, asked);
  }
  return 0;
}
