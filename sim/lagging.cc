#include "sim/lagging.h"

#include <algorithm>

namespace stayd::sim {

namespace {

std::int64_t number(const std::string& word) {
  return std::strtoll(word.c_str(), nullptr, 10);
}

void add_set(Step& step, const Words& words) {
  step.does = Step::Does::writes;
  step.whole = true;
  step.ttl_ms = 0;
  step.value = words[0] == "SETEX" ? words[3] : words[2];
  if (words[0] == "SETEX") step.ttl_ms = number(words[2]) * 1000;
  for (std::size_t i = 3; words[0] == "SET" && i + 1 < words.size(); ++i) {
    if (words[i] == "EX") step.ttl_ms = number(words[i + 1]) * 1000;
    if (words[i] == "PX") step.ttl_ms = number(words[i + 1]);
  }
}

void add(Step& step, const Words& words) {
  const std::string& name = words[0];
  if (name == "SET" || name == "SETEX") return add_set(step, words);
  if (name == "DEL" || name == "UNLINK" || name == "GETDEL") {
    step = {};
    step.does = Step::Does::removes;
  } else if (name == "HSET") {
    step.does = Step::Does::writes;
    step.whole = true;  // users write all fields of a session
    step.value = words[3];
  } else if (name == "EXPIRE" || name == "PEXPIRE") {
    if (step.does == Step::Does::nothing) step.does = Step::Does::touches;
    step.ttl_ms = number(words[2]) * (name == "EXPIRE" ? 1000 : 1);
  } else if (name == "INCR" || name == "HINCRBY" || name == "EVAL") {
    if (step.does != Step::Does::writes) step.does = Step::Does::writes;
  }
}

}  // namespace

Step step_of(const std::vector<Words>& commands, std::string_view told) {
  Step step;
  for (const Words& words : commands) add(step, words);
  const bool did_nothing = (told == "nil" && step.does == Step::Does::writes) ||
                           (step.does == Step::Does::touches && told == ":0");
  if (commands.size() == 1 && did_nothing) step.does = Step::Does::nothing;
  return step;
}

// Of those that were done by then, the one that was asked last.
const Step* Lagging::last(Step::Does does, std::int64_t until_ms) const {
  const Step* found = nullptr;
  for (const Step& step : steps) {
    if (step.does != does || step.answered_ms > until_ms) continue;
    if (found == nullptr || step.asked_ms >= found->asked_ms) found = &step;
  }
  return found;
}

std::string Lagging::may_be_absent(std::int64_t asked_ms, std::int64_t now_ms) const {
  const Step* written = last(Step::Does::writes, asked_ms - lag_ms);
  if (written == nullptr) return {};
  for (const Step& step : steps) {
    const bool after = step.answered_ms >= written->asked_ms - lag_ms && step.asked_ms <= now_ms;
    if (!after) continue;
    if (step.does == Step::Does::removes) return {};
    if (step.ttl_ms != 0 && step.asked_ms + step.ttl_ms - slack_ms <= now_ms) return {};
  }
  return "was written at " + std::to_string(written->answered_ms) + ", and not removed since";
}

std::string Lagging::may_be_present(std::int64_t asked_ms, std::int64_t now_ms) const {
  const Step* removed = last(Step::Does::removes, asked_ms - lag_ms);
  if (removed == nullptr) return {};
  const bool written = std::ranges::any_of(steps, [&](const Step& step) {
    return step.does == Step::Does::writes && step.asked_ms <= now_ms &&
           step.answered_ms >= removed->asked_ms - lag_ms;
  });
  if (written) return {};
  return "was removed at " + std::to_string(removed->answered_ms) + ", and not written since";
}

// Nothing else was done so near to it that one of the two may be lost.
bool Lagging::alone(const Step& step) const {
  return std::ranges::none_of(steps, [&](const Step& other) {
    return &other != &step && other.does != Step::Does::nothing &&
           other.answered_ms >= step.asked_ms - lag_ms &&
           other.asked_ms <= step.answered_ms + lag_ms;
  });
}

std::string Lagging::may_hold(std::string_view told, std::int64_t asked_ms) const {
  const Step* firm = nullptr;
  for (const Step& step : steps) {
    const bool counts = step.does == Step::Does::writes && step.whole &&
                        step.answered_ms <= asked_ms - lag_ms && alone(step);
    if (counts && (firm == nullptr || step.asked_ms > firm->asked_ms)) firm = &step;
  }
  if (firm == nullptr) return {};
  bool known = false;
  for (const Step& step : steps) {
    if (step.value.empty() || told.find(step.value) == std::string_view::npos) continue;
    known = true;
    if (step.answered_ms >= firm->asked_ms) return {};
  }
  if (!known) return {};
  return "held what was replaced by " + firm->value + " at " + std::to_string(firm->answered_ms);
}

}  // namespace stayd::sim
