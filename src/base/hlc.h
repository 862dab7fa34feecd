// Issues hybrid logical clock values. Not thread-safe: owned by the engine loop.
#pragma once

#include <algorithm>

#include "base/types.h"

namespace stayd {

inline constexpr int kHlcCounterBits = 16;

inline Hlc hlc_from_wall_ms(std::int64_t wall_ms) {
  return static_cast<Hlc>(wall_ms) << kHlcCounterBits;
}
inline std::int64_t hlc_wall_ms(Hlc hlc) {
  return static_cast<std::int64_t>(hlc >> kHlcCounterBits);
}

class HlcClock {
 public:
  // The next value: greater than every value issued or witnessed before, and not behind `wall_ms`.
  Hlc next(std::int64_t wall_ms) { return last_ = std::max(last_ + 1, hlc_from_wall_ms(wall_ms)); }

  // `count` (>= 1) consecutive values at once; returns the first.
  Hlc reserve(std::int64_t wall_ms, std::uint64_t count) {
    const Hlc first = next(wall_ms);
    last_ += count - 1;
    return first;
  }

  // A value seen elsewhere (the ledger's highest at start); later values exceed it.
  void witness(Hlc seen) { last_ = std::max(last_, seen); }

  Hlc last() const { return last_; }

 private:
  Hlc last_ = 0;
};

}  // namespace stayd
