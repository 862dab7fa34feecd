// Virtual time: a queue of events ordered by (time, sequence), and the hash of everything that
// happened, by which two runs are compared. Single-threaded; owns the events it holds.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/types.h"

namespace stayd::sim {

inline constexpr std::int64_t kMs = 1000;          // microseconds
inline constexpr std::int64_t kSecond = 1000'000;  // microseconds

class Scheduler {
 public:
  using Action = std::function<void()>;

  Now now() const { return {.mono_us = now_us_, .wall_ms = kFirstWallMs + now_us_ / kMs}; }
  std::int64_t now_us() const { return now_us_; }
  std::int64_t wall_ms() const { return now().wall_ms; }

  void at(std::int64_t time_us, Action action) {
    heap_.push_back({std::max(time_us, now_us_), ++sequence_, std::move(action)});
    std::push_heap(heap_.begin(), heap_.end(), Later{});
  }
  void after(std::int64_t delay_us, Action action) { at(now_us_ + delay_us, std::move(action)); }

  // Runs every event up to `time_us`; stops early once `stop()` is true.
  template <class Stop>
  void run_until(std::int64_t time_us, Stop stop) {
    while (!heap_.empty() && heap_.front().time_us <= time_us && !stop()) step();
    if (!stop()) now_us_ = std::max(now_us_, time_us);
  }

  // Mixes something observable into the hash of the run.
  void trace(std::string_view bytes) {
    for (const char c : bytes) {
      hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 1099511628211ULL;  // FNV-1a
    }
  }
  void trace(std::uint64_t number) {
    hash_ = (hash_ ^ number) * 0x9e3779b97f4a7c15ULL;
    hash_ ^= hash_ >> 29;
  }
  std::uint64_t hash() const { return hash_; }
  std::uint64_t events() const { return events_; }

 private:
  static constexpr std::int64_t kFirstWallMs = 1'700'000'000'000;
  struct Entry {
    std::int64_t time_us;
    std::uint64_t sequence;
    Action action;
  };
  struct Later {
    bool operator()(const Entry& a, const Entry& b) const {
      return a.time_us != b.time_us ? a.time_us > b.time_us : a.sequence > b.sequence;
    }
  };
  void step() {
    std::pop_heap(heap_.begin(), heap_.end(), Later{});
    Entry entry = std::move(heap_.back());
    heap_.pop_back();
    now_us_ = entry.time_us;
    ++events_;
    trace(static_cast<std::uint64_t>(entry.time_us));
    entry.action();
  }

  std::vector<Entry> heap_;
  std::int64_t now_us_ = kSecond;
  std::uint64_t sequence_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t hash_ = 14695981039346656037ULL;
};

}  // namespace stayd::sim
