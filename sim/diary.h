// What happened in a run, for people, newest last: state changes of every stayd and the faults.
// Part of the run's hash. One loop; owned by the World.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "sim/scheduler.h"

namespace stayd::sim {

class Diary {
 public:
  explicit Diary(Scheduler& scheduler) : scheduler_(scheduler) {}

  // Hears of each note.
  std::function<void(const std::string& text)> on_note = [](const std::string&) {};

  void note(const std::string& text) {
    scheduler_.trace(text);
    on_note(text);
    lines_.push_back(std::to_string(scheduler_.wall_ms() % 1'000'000'000) + "  " + text);
    if (lines_.size() > kMaxLines) lines_.pop_front();
  }
  // At most kMaxLines; older ones are forgotten.
  const std::deque<std::string>& lines() const { return lines_; }

 private:
  static constexpr std::size_t kMaxLines = 400;

  Scheduler& scheduler_;
  std::deque<std::string> lines_;
};

}  // namespace stayd::sim
