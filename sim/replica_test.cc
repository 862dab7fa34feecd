// A replica answers what the ledger does not know while the primary is out (docs/adr/0014): worlds
// in which the backfill does not end, and each connection to the replica finds it behind by
// something else.
#include <gtest/gtest.h>

#include "sim/world.h"

namespace stayd::sim {
namespace {

TEST(Replica, AFewDozenSeeds) {
  std::uint64_t hits = 0, misses = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    WorldOptions options;
    options.seed = seed;
    options.minutes = 0.3;
    options.instance.engine.replica_reads = true;
    // Others let stayd see most sessions before an outage.
    options.only_faults = {"die-slowly", "freeze", "restart", "silence", "kill-stayd"};
    World world(options);
    ASSERT_TRUE(world.run()) << world.report();
    hits += world.instance.counters().replies_from_replicas;
    misses += world.instance.counters().replica_misses;
  }
  EXPECT_GT(hits, 5U);
  EXPECT_GT(misses, 50U);
}

}  // namespace
}  // namespace stayd::sim
