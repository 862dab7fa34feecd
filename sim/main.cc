// stayd_sim: runs seeds of the simulated world on all cores, until one of them fails.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "sim/runner.h"

namespace {

using stayd::sim::FoundBy;
using stayd::sim::RunnerOptions;
using stayd::sim::SeedResult;
using stayd::sim::Totals;

constexpr std::uint64_t kSeedsOfATree = 500;
constexpr std::uint64_t kFirstSeed = 1;    // where git names no sources
constexpr std::uint64_t kSaidEach = 1000;  // seeds

struct Options {
  RunnerOptions runner;
  std::string commit = "none";
  std::string tree;
  std::string trace;
  int trace_db = 0;
  std::string faults;
  double nightly_hours = 0;
  bool shrink = false;
  bool verbose = false;
};

void tell(const Options& options, const SeedResult& result) {
  static std::uint64_t ended = 0;
  if (!result.report.empty()) {
    fmt::print("{}{}", result.good ? "" : "VIOLATION, commit " + options.commit + "\n",
               result.report);
  }
  if (options.verbose) {
    fmt::print("seed {}: {} events, {} commands, slowest {} ms, hash {:016x}\n", result.seed,
               result.events, result.commands, result.slowest_us / 1000, result.hash);
  }
  if (++ended % kSaidEach == 0) fmt::print("{} seeds so far\n", ended);
  std::fflush(stdout);
}

// The same sources give the same seeds, whatever commit carries them.
std::uint64_t seed_of(const std::string& tree) {
  const std::uint64_t digits = std::strtoull(tree.substr(0, 8).c_str(), nullptr, 16);
  return digits == 0 ? kFirstSeed : digits;
}

int run(const Options& options) {
  const auto& world = options.runner.world;
  fmt::print("commit {}, seeds from {}, {:g} minutes each\n", options.commit, world.seed,
             world.minutes);
  std::fflush(stdout);
  const Totals totals =
      run_seeds(options.runner, [&](const SeedResult& result) { tell(options, result); });
  fmt::print("{:<16} {:>12}\n", "fault", "happened");
  for (const auto& [name, struck] : totals.faults) fmt::print("{:<16} {:>12}\n", name, struck);
  fmt::print("simulated: {:.0f} minutes, {} commands\n",
             static_cast<double>(totals.seeds) * world.minutes, totals.commands);
  fmt::print("sim: {} seeds, {} events, hash {:016x}, {} violations\n", totals.seeds, totals.events,
             totals.hash, totals.violations);
  return totals.violations == 0 ? 0 : 1;
}

int shrink(const Options& options) {
  const auto smallest = stayd::sim::shrink(options.runner.world, [](const std::string& command) {
    fmt::print("still fails: {}\n", command);
    std::fflush(stdout);
  });
  Options again = options;
  again.runner.world = smallest;
  return run(again);
}

std::set<std::string> split(const std::string& names) {
  std::set<std::string> out;
  std::istringstream in(names);
  for (std::string name; std::getline(in, name, ',');) {
    if (name != "none") out.insert(name);
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  RunnerOptions& runner = options.runner;
  runner.jobs = static_cast<unsigned>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  CLI::App app{"The deterministic simulator: real engine, simulated Redis, network, disk and time"};
  auto* seed = app.add_option("--seed", runner.world.seed, "the first seed; else the tree's");
  auto* seeds = app.add_option("--seeds", runner.seeds, "how many: 500, or 1 with --seed");
  app.add_option("--minutes", runner.world.minutes, "simulated minutes of faults in each seed")
      ->capture_default_str();
  app.add_option("--commit", options.commit, "what is being run, to be told");
  app.add_option("--tree", options.tree, "git's name of the sources: its first digits name seeds");
  app.add_option("--jobs", runner.jobs, "processes")->capture_default_str();
  runner.world.instances.reset();
  app.add_option("--instances", runner.world.instances, "stayds on one Redis, 1 to 5; else drawn")
      ->check(CLI::Range(1, 5));
  app.add_option("--shards", runner.world.shards, "of a Redis Cluster, 2 or 3; 1: one Redis")
      ->check(CLI::Range(1, 3))
      ->capture_default_str();
  FoundBy& found_by = runner.world.found_by;
  app.add_flag_callback(
         "--sentinels", [&] { found_by = FoundBy::sentinels; }, "name one Redis that moves")
      ->excludes("--shards");
  app.add_flag_callback(
         "--name", [&] { found_by = FoundBy::name; }, "that leads to one Redis that moves")
      ->excludes("--shards")
      ->excludes("--sentinels");
  auto& engine = runner.world.instance.engine;
  app.add_flag("--fleet", runner.world.fleet, "the stayds share a backup");
  app.add_flag("--replica", engine.replica_reads, "of one Redis; the backfill does not end");
  auto* nightly = app.add_option("--nightly", options.nightly_hours, "seeds for so many hours (4)")
                      ->expected(0, 1)
                      ->default_str("4");
  auto* faults = app.add_option("--faults", options.faults, "only these kinds, or none");
  app.add_option("--sessions", runner.world.users.sessions, "alive at once; else drawn");
  app.add_option("--clients", runner.world.users.max_clients, "of one session; else drawn");
  app.add_option("--trace", options.trace,
                 "print this key's history, with every change of it in Redis and ledger");
  app.add_option("--trace-db", options.trace_db, "the key's database")
      ->check(CLI::Range(0, stayd::kDatabases - 1));
  app.add_flag("--keep-going", runner.keep_going, "after a violation");
  app.add_flag("--shrink", options.shrink, "look for a smaller run of --seed that fails");
  app.add_flag("--verbose", options.verbose, "a line for each seed");
  CLI11_PARSE(app, argc, argv);
  if (!*seed) {
    runner.world.seed = seed_of(options.tree);
    if (!*seeds) runner.seeds = kSeedsOfATree;
  }
  if (*nightly) {
    runner.seeds = UINT64_MAX;
    runner.limit_s = static_cast<unsigned>(options.nightly_hours * 3600);
  }
  if (runner.world.shards > 1) found_by = FoundBy::cluster;
  if (*faults) runner.world.only_faults = split(options.faults);
  if (!options.trace.empty()) {
    runner.world.watched = stayd::full_key(options.trace_db, options.trace);
  }
  return options.shrink ? shrink(options) : run(options);
}
