// stayd_model: tries everything that can happen in the stories of the small model.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "sim/model/explorer.h"
#include "sim/mutants/workers.h"

namespace {

using namespace stayd::sim;
using namespace stayd::sim::model;

struct Options {
  std::string story;  // empty: all of them
  std::string kinds;  // of faults, by name; empty: the story's
  int faults = -1;    // -1: the story's
  int waits = 0;      // 0: the story's
  std::size_t jobs = 1;
  bool nightly = false;
  std::uint64_t max_states = Limits{}.max_states;
};

// What one story came to, as its process tells it: three numbers, then lines for people.
struct Told {
  std::uint64_t states = 0, transitions = 0, violations = 0;
};

int faults_of(const Story& story, const Options& options) {
  if (options.faults >= 0) return options.faults;
  return options.nightly ? story.nightly_faults : story.ci_faults;
}

void run_story(const Story& story, const Options& options, const Workers::Say& say) {
  const Limits limits{.max_faults = faults_of(story, options), .max_states = options.max_states};
  const Result result = explore(story, {}, limits);
  say(fmt::format("{} {} {}", result.states, result.transitions,
                  result.violation.empty() && result.complete ? 0 : 1));
  say(fmt::format("{:<8} {:>2} {:>6} {:>12} {:>13}  {}", story.name, limits.max_faults,
                  story.max_waits, result.states, result.transitions, story.about));
  if (!result.complete) say("NOT COMPLETE: too many states");
  for (std::size_t at = 0; at < result.narrative.size();) {
    const std::size_t end = result.narrative.find('\n', at);
    say(result.narrative.substr(at, end - at));
    at = end + 1;
  }
}

void add_up(const Story& story, const JobEnd& end, Told& all) {
  if (end.said.empty()) {
    fmt::print("{}: {}\n", story.name, end.timed_out ? "took too long" : "came to no end");
    ++all.violations;
    return;
  }
  Told one;
  std::sscanf(end.said[0].c_str(), "%lu %lu %lu", &one.states, &one.transitions, &one.violations);
  all.states += one.states;
  all.transitions += one.transitions;
  all.violations += one.violations;
  for (std::size_t i = 1; i < end.said.size(); ++i) fmt::print("{}\n", end.said[i]);
  std::fflush(stdout);
}

int run(const Options& options) {
  Told all;
  std::vector<Story> stories = all_stories();
  if (!options.story.empty()) {
    std::erase_if(stories, [&](const Story& story) { return story.name != options.story; });
  }
  fmt::print("{:<8} {:>2} {:>6} {:>12} {:>13}\n", "story", "faults", "waits", "states",
             "transitions");
  Workers workers(options.jobs);
  for (Story& story : stories) {
    if (options.waits > 0) story.max_waits = options.waits;
    if (!options.kinds.empty()) story.faults = faults_named(options.kinds);
    workers.add({[&](const Workers::Say& say) { run_story(story, options, say); },
                 [&](const JobEnd& end) { add_up(story, end, all); }});
  }
  workers.run();
  fmt::print("model: {} states, {} transitions, {} violations\n", all.states, all.transitions,
             all.violations);
  return all.violations == 0 && !stories.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Tries everything that can happen in small stories of one session");
  Options options;
  app.add_option("story", options.story, "only this one");
  app.add_option("--faults", options.faults, "at most so many in one run");
  app.add_option("--kinds", options.kinds, "of faults, with commas between");
  app.add_option("--waits", options.waits, "how often the clock may move on in one run");
  app.add_option("--jobs", options.jobs, "processes at a time");
  app.add_option("--max-states", options.max_states, "of one story; beyond, it is not complete");
  app.add_flag("--nightly", options.nightly, "one fault more where there are fewer than two");
  CLI11_PARSE(app, argc, argv);
  return run(options);
}
