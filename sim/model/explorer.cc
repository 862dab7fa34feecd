#include "sim/model/explorer.h"

#include <algorithm>
#include <boost/unordered/unordered_flat_set.hpp>

#include "base/error.h"
#include "sim/model/arena.h"
#include "sim/model/identity.h"

namespace stayd::sim::model {

namespace {

constexpr std::size_t kMaxShrinks = 600;
constexpr std::size_t kMaxSteps = 1'500;  // of one run: beyond, it would not come to an end
constexpr std::size_t kWarmUpSteps = 200;
constexpr std::size_t kWarmUpStride = 9;

// A world in the arena, built anew.
World* build(const Story& story, const EngineOptions& options, int max_faults) {
  arena::reset();
  const arena::Scope scope;
  return new World(story, options, max_faults);  // goes with the arena
}

class Search {
 public:
  Search(const Story& story, const EngineOptions& options, const Limits& limits)
      : limits_(limits), world_(build(story, options, limits.max_faults)) {}

  Result run() {
    if (limits_.replies) world_->remember_replies();
    descend();
    while (open_ > 0 && result_.violation.empty()) {
      Frame& top = stack_[open_ - 1];
      if (top.next == top.steps.size()) {
        --open_;
        continue;
      }
      if (result_.states >= limits_.max_states) {
        result_.complete = false;
        break;
      }
      if (top.next > 0) arena::restore(top.world);
      path_.resize(top.depth);
      take(top.steps[top.next++]);
      descend();
    }
    if (!result_.violation.empty()) result_.steps = path_;
    return std::move(result_);
  }

 private:
  struct Frame {
    arena::Snapshot world;
    std::vector<Step> steps;
    std::size_t next = 0;
    std::size_t depth = 0;
  };

  void take(const Step& step) {
    path_.push_back(step);
    if (path_.size() >= kMaxSteps) {
      const arena::Scope scope;
      world_->fail("this run comes to no end");
      return;
    }
    ++result_.transitions;
    const arena::Scope scope;
    world_->take(step);
  }

  // Goes on while there is only one way, up to the next fork that has not been met yet.
  void descend() {
    for (;;) {
      if (!world_->violation().empty()) {
        result_.violation = std::string(world_->violation());
        return;
      }
      steps_.clear();
      world_->steps(steps_);
      if (steps_.empty()) {
        if (limits_.replies) result_.replies.insert(world_->told());
        return;
      }
      if (steps_.size() > 1) break;
      // What nobody disturbs any more goes the same way again from a world that has been met.
      if (steps_.front().kind == Kind::wait && !is_new()) return;
      take(steps_.front());
    }
    if (!is_new()) return;
    ++result_.states;
    if (open_ == stack_.size()) stack_.emplace_back();
    Frame& frame = stack_[open_++];
    frame.steps = steps_;
    frame.next = 0;
    frame.depth = path_.size();
    arena::save(frame.world);
  }

  bool is_new() { return met_.insert(limits_.raw ? raw_identity() : identity(world_)).second; }

  const Limits limits_;
  World* const world_;
  Result result_;
  std::vector<Frame> stack_;  // those behind the open ones keep their memory for the next
  std::size_t open_ = 0;
  std::vector<Step> path_;
  std::vector<Step> steps_;
  boost::unordered_flat_set<std::uint64_t> met_;
};

// Runs the steps that are possible, then whatever comes first without a further fault. Returns the
// steps taken up to the violation; empty: there was none.
std::vector<Step> replay(World& world, const std::vector<Step>& wanted, std::string* narrative) {
  std::vector<Step> taken;
  std::vector<Step> possible;
  std::size_t next = 0;
  std::string events;
  world.listen(narrative == nullptr ? nullptr : &events);
  while (world.violation().empty() && taken.size() < kMaxSteps) {
    world.steps(possible);
    if (possible.empty()) return {};
    if (taken.size() + 1 == kMaxSteps) {
      const arena::Scope scope;
      world.fail("this run comes to no end");
    }
    Step step = possible.front();
    while (next < wanted.size()) {
      const bool there = std::count(possible.begin(), possible.end(), wanted[next]) != 0;
      if (there) step = wanted[next];
      ++next;
      if (there) break;
    }
    taken.push_back(step);
    if (narrative != nullptr) {
      *narrative += std::to_string(taken.size()) + ". " + world.describe(step);
    }
    {
      const arena::Scope scope;
      world.take(step);
    }
    if (narrative == nullptr) continue;
    if (!events.empty()) *narrative += "\n      -> " + std::exchange(events, {});
    *narrative += "\n";
  }
  if (narrative != nullptr) *narrative += "VIOLATION: " + std::string(world.violation()) + "\n";
  return world.violation().empty() ? std::vector<Step>{} : taken;
}

int count_faults(const std::vector<Step>& steps) {
  return static_cast<int>(std::count_if(steps.begin(), steps.end(),
                                        [](const Step& step) { return step.kind == Kind::fault; }));
}

// Leaves out parts, smaller and smaller ones, as long as it still goes wrong.
std::vector<Step> shrink(const Story& story, const EngineOptions& options,
                         std::vector<Step> steps) {
  const int faults = count_faults(steps);
  std::size_t tries = 0;
  for (std::size_t part = steps.size() / 2; part > 0;) {
    bool better = false;
    for (std::size_t at = 0; at < steps.size() && tries < kMaxShrinks; at += part) {
      ++tries;
      std::vector<Step> fewer = steps;
      const auto from = fewer.begin() + static_cast<std::ptrdiff_t>(at);
      fewer.erase(from, from + static_cast<std::ptrdiff_t>(std::min(part, steps.size() - at)));
      fewer = replay(*build(story, options, faults), fewer, nullptr);
      if (fewer.empty() || fewer.size() >= steps.size()) continue;
      steps = std::move(fewer);
      better = true;
    }
    if (!better || tries >= kMaxShrinks) part /= 2;
    part = std::min(part, steps.size());
  }
  return steps;
}

// The first thing that may happen, always; and `fault` as soon as it may, from step `from` on.
void live_through(const Story& story, const EngineOptions& options, Fault fault, std::size_t from) {
  World world(story, options, 1);
  std::vector<Step> steps;
  std::size_t taken = 0;
  for (world.steps(steps); !steps.empty(); world.steps(steps), ++taken) {
    Step step = steps.front();
    for (const Step& one : steps) {
      if (taken >= from && one.kind == Kind::fault && one.fault == fault) step = one;
    }
    world.take(step);
  }
}

// What is initialised at its first use must be so outside the arena: worlds that meet every fault
// at many moments, with every kind of command.
void warm_up(const EngineOptions& options) {
  static bool warm = false;
  if (std::exchange(warm, true)) return;
  for (const Story& story : warm_up_stories()) {
    for (const Fault fault : story.faults) {
      for (std::size_t at = 0; at < kWarmUpSteps; at += kWarmUpStride) {
        live_through(story, options, fault, at);
      }
    }
  }
}

}  // namespace

Result explore(const Story& story, const EngineOptions& options, const Limits& limits) {
  warm_up(options);
  Result result = Search(story, options, limits).run();
  STAYD_ASSERT(!arena::leaks_into_statics());
  if (result.violation.empty()) return result;
  result.steps = shrink(story, options, std::move(result.steps));
  World& world = *build(story, options, count_faults(result.steps));
  replay(world, result.steps, &result.narrative);
  result.violation = std::string(world.violation());
  return result;
}

}  // namespace stayd::sim::model
