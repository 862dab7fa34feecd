#include "store/dynamodb/server_clock.h"

#include <algorithm>

namespace stayd::dynamo {
namespace {

constexpr std::int64_t kSecondUs = 1'000'000;
// Answers come from many servers, whose clocks differ by a little.
constexpr std::int64_t kSpreadUs = 20'000;
constexpr std::int64_t kDriftPpm = 100;  // of our clock against theirs

}  // namespace

void ServerClock::observe(std::int64_t sent_us, std::int64_t received_us, std::int64_t date_s) {
  const std::int64_t low = date_s * kSecondUs - received_us - kSpreadUs;
  const std::int64_t high = (date_s + 1) * kSecondUs - sent_us + kSpreadUs;
  const std::lock_guard lock(mutex_);
  if (known_) {
    const std::int64_t drift =
        std::max<std::int64_t>(0, received_us - as_of_us_) * kDriftPpm / kSecondUs;
    low_us_ = std::max(low_us_ - drift, low);
    high_us_ = std::min(high_us_ + drift, high);
  }
  if (!known_ || low_us_ > high_us_) {  // a clock was set
    low_us_ = low;
    high_us_ = high;
  }
  known_ = true;
  as_of_us_ = received_us;
}

ServerClock::Reading ServerClock::at(std::int64_t mono_us) const {
  const std::lock_guard lock(mutex_);
  if (!known_) return {};
  const std::int64_t drift = std::max<std::int64_t>(0, mono_us - as_of_us_) * kDriftPpm / kSecondUs;
  return {(mono_us + (low_us_ + high_us_) / 2) / 1000,
          (high_us_ - low_us_) / 2000 + drift / 1000 + 1};
}

}  // namespace stayd::dynamo
