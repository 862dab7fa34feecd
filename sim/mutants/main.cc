// stayd_mutants: is every rule watched? Runs each mutant in simulated worlds until one notices,
// then the same world with every rule, which must not complain.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

#include "sim/mutants/mutants.h"
#include "sim/mutants/workers.h"

namespace stayd::sim {
namespace {

struct Options {
  std::uint64_t seeds = 10'000;
  bool honest = false;
  bool markdown = false;
  std::string only;
  std::size_t jobs = 0;
};

struct Verdict {
  const Mutant* mutant = nullptr;
  bool killed = false;
  bool control_failed = false;
  std::uint64_t seed = 0;
  std::string what;
  double cpu_seconds = 0;
};

// Reports "SEED", and its violation, if there is one, behind it.
bool complains(WorldOptions options, const Workers::Say& say) {
  say(std::to_string(options.seed));
  World world(std::move(options));
  if (world.run()) return false;
  say(world.users.violation());
  return true;
}

std::uint64_t number(const std::string& text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Sets what killed it; false: nothing did. A line that is no seed is a violation.
bool read_verdict(const JobEnd& end, Verdict& verdict) {
  verdict.cpu_seconds += end.cpu_seconds;
  if (end.said.empty()) return false;
  const std::string& last = end.said.back();
  const bool is_seed =
      std::all_of(last.begin(), last.end(), [](const char c) { return c >= '0' && c <= '9'; });
  if (is_seed) {
    verdict.seed = number(last);
    if (end.aborted) verdict.what = "an assertion";
    return end.aborted;
  }
  verdict.what = last;
  verdict.seed = number(end.said[end.said.size() - 2]);
  return true;
}

void print(const Verdict& verdict) {
  const std::string by = verdict.killed ? fmt::format("seed {}: {}", verdict.seed, verdict.what)
                                        : "nothing noticed it";
  fmt::print("{:8} {:5} {:52} {:6.1f} s  {}\n", verdict.killed ? "killed" : "SURVIVED",
             verdict.mutant->rule, verdict.mutant->name, verdict.cpu_seconds, by.substr(0, 160));
  if (verdict.control_failed) {
    fmt::print("         with every rule this seed fails too: {}\n", verdict.what);
  }
  std::fflush(stdout);
}

void add_control(Workers& workers, Verdict& verdict) {
  workers.add_next({[&verdict](const Workers::Say& say) {
                      complains(control_world(*verdict.mutant, verdict.seed), say);
                    },
                    [&verdict](const JobEnd& end) {
                      verdict.control_failed = end.said.size() != 1 || end.aborted || end.timed_out;
                      print(verdict);
                    }});
}

void add_hunt(Workers& workers, const Options& options, Verdict& verdict) {
  const Mutant& mutant = *verdict.mutant;
  const std::uint64_t first = options.honest ? 1 : mutant.first_seed;
  workers.add({[&mutant, first, seeds = options.seeds](const Workers::Say& say) {
                 for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
                   if (complains(mutant_world(mutant, seed), say)) return;
                 }
               },
               [&workers, &verdict](const JobEnd& end) {
                 verdict.killed = read_verdict(end, verdict);
                 verdict.killed ? add_control(workers, verdict) : print(verdict);
               }});
}

void print_table(const std::vector<Verdict>& verdicts) {
  fmt::print("\n| mutant | rule | killed by seed | what was noticed |\n|---|---|---|---|\n");
  for (const Verdict& verdict : verdicts) {
    const std::string what = verdict.what.substr(0, verdict.what.find(", possible were"));
    fmt::print("| {} | {} | {} | {} |\n", verdict.mutant->name, verdict.mutant->rule,
               verdict.killed ? std::to_string(verdict.seed) : "none", what.substr(0, 90));
  }
}

int run(const Options& options) {
  std::vector<Verdict> verdicts;
  for (const Mutant& mutant : mutants()) {
    if (mutant.name.find(options.only) != std::string_view::npos) verdicts.push_back({&mutant});
  }
  const auto cores = static_cast<std::size_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  Workers workers(options.jobs == 0 ? cores : options.jobs);
  for (Verdict& verdict : verdicts) add_hunt(workers, options, verdict);
  workers.run();
  if (options.markdown) print_table(verdicts);
  const auto killed = std::count_if(verdicts.begin(), verdicts.end(), [](const Verdict& verdict) {
    return verdict.killed && !verdict.control_failed;
  });
  fmt::print("mutants: {} of {} killed\n", killed, verdicts.size());
  return static_cast<std::size_t>(killed) == verdicts.size() ? 0 : 1;
}

}  // namespace
}  // namespace stayd::sim

int main(int argc, char** argv) {
  stayd::sim::Options options;
  CLI::App app{"The mutation gate: every rule that is taken away is noticed by the simulator"};
  app.add_option("--seeds", options.seeds, "how many seeds to try for each mutant")
      ->capture_default_str();
  app.add_flag("--honest", options.honest,
               "search from seed 1, not from where an earlier search found something");
  app.add_option("--only", options.only, "only mutants whose name contains this");
  app.add_option("--jobs", options.jobs, "processes at once (default: one for each core)");
  app.add_flag("--markdown", options.markdown, "print the table of docs/proof/mutants.md too");
  CLI11_PARSE(app, argc, argv);
  return stayd::sim::run(options);
}
