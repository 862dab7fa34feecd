// stayd_sim: runs seeds of the simulated world until one of them fails.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "sim/world.h"

namespace {

struct Options {
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1;
  double minutes = 2;
  std::string trace;
  bool verbose = false;
};

int run(const Options& options) {
  std::uint64_t events = 0;
  std::uint64_t hash = 0;
  std::uint64_t violations = 0;
  for (std::uint64_t i = 0; i < options.seeds; ++i) {
    stayd::sim::WorldOptions world_options;
    world_options.seed = options.seed + i;
    world_options.minutes = options.minutes;
    stayd::sim::World world(world_options);
    const bool good = world.run();
    events += world.scheduler.events();
    hash = hash * 1099511628211ULL ^ world.scheduler.hash();
    if (!good) {
      ++violations;
      fmt::print("VIOLATION\n{}", world.report());
    }
    if (options.verbose) {
      fmt::print("seed {}: {} events, {} commands, slowest {} ms, hash {:016x}\n",
                 world_options.seed, world.scheduler.events(), world.users.asked(),
                 world.users.slowest_us() / 1000, world.scheduler.hash());
    }
    if (!options.trace.empty()) {
      for (int db = 0; db < stayd::kDatabases; ++db) {
        const auto key = stayd::full_key(db, options.trace);
        if (world.users.histories().contains(key)) fmt::print("{}", world.report(key));
      }
    }
    if (!good) break;
  }
  fmt::print("sim: {} seeds, {} events, hash {:016x}, {} violations\n", options.seeds, events, hash,
             violations);
  return violations == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"The deterministic simulator: real engine, simulated Redis, network, disk and time"};
  app.add_option("--seed", options.seed, "the first seed")->capture_default_str();
  app.add_option("--seeds", options.seeds, "how many seeds to run")->capture_default_str();
  app.add_option("--minutes", options.minutes, "simulated minutes of faults in each seed")
      ->capture_default_str();
  app.add_option("--trace", options.trace, "print the history of this key");
  app.add_flag("--verbose", options.verbose, "a line for each seed");
  CLI11_PARSE(app, argc, argv);
  return run(options);
}
