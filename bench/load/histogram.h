// Counts of latencies in buckets that are at most 1.6 % wide: 64 to each power of two. Plain value.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>

namespace stayd::load {

class Histogram {
 public:
  void add(std::int64_t us) {
    const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(us, 0));
    ++buckets_[upper_bound(value)];
    ++count_;
    max_ = std::max(max_, value);
  }

  std::uint64_t count() const { return count_; }
  std::uint64_t max_us() const { return max_; }
  // The latency that this share (0..1) of the answers did not exceed; 0 without answers.
  std::uint64_t percentile_us(double share) const {
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(count_) + 0.5);
    std::uint64_t seen = 0;
    for (const auto& [upper_us, count] : buckets_) {
      seen += count;
      if (seen >= wanted) return std::min(upper_us, max_);
    }
    return 0;
  }
  // Upper bound in microseconds -> count.
  const std::map<std::uint64_t, std::uint64_t>& buckets() const { return buckets_; }

 private:
  static std::uint64_t upper_bound(std::uint64_t value) {
    const int bits = std::bit_width(value);
    if (bits <= 7) return value;
    const int shift = bits - 7;
    return (((value >> shift) + 1) << shift) - 1;
  }

  std::map<std::uint64_t, std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace stayd::load
