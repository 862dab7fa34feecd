// differential: the same random commands against redis-server and against stayd, reply for reply.
// The servers run already, see compare.py. Exit code 1: a difference, 2: a server that does not
// answer.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <thread>

#include "session/scripts.h"
#include "tests/differential/lane.h"

namespace {

using namespace stayd;
using namespace stayd::differential;

struct Options {
  std::uint16_t redis = 0, stayd = 0, stand_in = 0;
  std::uint64_t seed = 1;
  std::uint64_t commands = 1'000'000;
  unsigned lanes = 8;
  bool faults = false;
  bool state = false;
  bool cluster = false;
};

constexpr unsigned kDatabases = 16;

// One lane in four also uses what the stand-in does not know, and leaves the stand-in out.
std::vector<LaneOptions> lanes_of(const Options& options) {
  // tidy: allow(clock) because real servers run beside it
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto start_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  std::vector<LaneOptions> lanes;
  for (unsigned i = 0; i < options.lanes; ++i) {
    LaneOptions lane;
    lane.repeatable = !options.faults;
    lane.script = {.seed = options.seed * 1000 + i,
                   .start_ms = start_ms,
                   .first_db = static_cast<int>(2 * i),
                   .every_command = !options.faults && i % 4 == 3,
                   .faults = options.faults,
                   .tag = options.cluster ? fmt::format("{{{}}}", i) : ""};
    lane.servers.push_back({"redis", options.redis, {}});
    lane.servers.push_back({"stayd",
                            options.stayd,
                            {.hashes_in_order = !options.faults, .may_not_know = options.faults}});
    if (options.stand_in != 0 && !lane.script.every_command) {
      lane.servers.push_back({"stand-in", options.stand_in, {}});
    }
    lanes.push_back(std::move(lane));
  }
  return lanes;
}

int run(const Options& options) {
  Progress progress;
  progress.target = options.commands;
  std::atomic<int> code{0};
  std::vector<std::thread> threads;
  for (const LaneOptions& lane : lanes_of(options)) {
    threads.emplace_back([&progress, &code, &options, lane] {
      try {
        Lane one(lane, progress);
        if (!(options.state ? one.same_state() : one.run())) code = 1;
      } catch (const std::exception& error) {
        fmt::print("databases {} and {}: {}\n", lane.script.first_db, lane.script.first_db + 1,
                   error.what());
        progress.stop = true;
        code = 2;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  fmt::print("compared {} commands", progress.commands.load());
  if (options.faults) fmt::print(", {} episodes ended in an honest error", progress.unknown.load());
  fmt::print("\n");
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"The same random commands against redis-server and stayd, reply for reply."};
  app.add_option("--redis", options.redis, "port of the redis-server that is right")->required();
  app.add_option("--stayd", options.stayd, "port of a stayd, or of its Redis")->required();
  app.add_option("--stand-in", options.stand_in, "port of a stayd whose Redis is out");
  app.add_option("--seed", options.seed);
  app.add_option("--commands", options.commands, "at least so many, to each server");
  app.add_option("--lanes", options.lanes)->check(CLI::Range(1U, kDatabases / 2));
  app.add_flag("--faults", options.faults, "Redis fails behind stayd meanwhile");
  app.add_flag("--state", options.state, "only compare what they hold");
  app.add_flag("--cluster", options.cluster, "a Cluster is behind stayd");
  CLI11_PARSE(app, argc, argv);
  return run(options);
}
