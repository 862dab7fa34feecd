// What is under way: each thing has a number until it is taken out again, and numbers are used
// anew. Not thread-safe.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace stayd {

template <class T>
class SlotTable {
 public:
  // The number of `value`: small, from 0.
  std::size_t add(T value) {
    if (free_.empty()) {
      free_.push_back(slots_.size());
      slots_.emplace_back();
    }
    const std::size_t number = free_.back();
    free_.pop_back();
    slots_[number] = std::move(value);
    return number;
  }
  // Requires a number that add() gave and nobody has taken.
  T take(std::size_t number) {
    T value = std::exchange(slots_[number], T());
    free_.push_back(number);
    if (used() == 0) {  // as in the beginning, in whatever order they have ended
      slots_.clear();
      free_.clear();
    }
    return value;
  }
  std::size_t used() const { return slots_.size() - free_.size(); }

 private:
  std::vector<T> slots_;
  std::vector<std::size_t> free_;
};

}  // namespace stayd
