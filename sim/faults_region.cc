// Another region's Redis is used (docs/adr/0015).
#include <algorithm>

#include "sim/faults.h"
#include "sim/world.h"

namespace stayd::sim {

// It knows what it knew when it was left, or is empty or a copy that lags behind when it is new.
// The one of before may be dead, frozen or well. Several stayds go together, and none before its
// adoption is complete.
bool Faults::change_region() {
  RedisModel& redis = world_.redis;
  RedisModel& other = world_.servers.standby();
  const auto& stayds = world_.instances;
  const auto works = [](const auto& one) { return one->alive() && !one->paused(); };
  if (!adopted() || !other.listening()) return false;
  if (!std::ranges::all_of(stayds, works)) return false;
  const bool stale = standby_left_us_ < world_.truth_us;  // of before Redis was the truth (W6)
  if (standby_left_us_ == 0 || stale) {
    standby_known_ = false;
    const bool empty = random_->chance(50);
    const std::int64_t lag_us = between(kMs, 60 * kSecond);
    const std::int64_t seen_us = std::max(world_.scheduler.now_us() - lag_us, world_.truth_us);
    empty ? other.start_empty() : other.start_as_replica_of(redis, redis.changes_since(seen_us));
  }
  note_loss("another region's Redis is used");
  if (RedisModel* old = world_.servers.deposed(0)) old->kill();
  redis.trade_places(other);
  if (redis.flags.frozen) {
    redis.flags.frozen = false;
    other.freeze();
  }
  for (const auto& one : stayds) one->change_region(standby_known_);
  standby_known_ = true;
  standby_left_us_ = world_.scheduler.now_us();
  later(between(kMs, 10 * kSecond), [this] { wake_standby(); });
  return true;
}

// The one that was left comes back to itself, and may lose something that nobody sees.
void Faults::wake_standby() {
  RedisModel& other = world_.servers.standby();
  const std::int64_t when_us = world_.scheduler.now_us() - between(kSecond, 60 * kSecond);
  const auto how = random_->below(8);
  other.thaw();
  if (how == 0 || !other.listening()) {
    other.kill();
    other.start(random_->chance(50) ? random_->below(20) : 0);
  } else if (how == 1) {
    note("the other region's Redis starts from an old snapshot");
    other.kill();
    other.start(other.changes_since(std::max(when_us, world_.truth_us)));
  } else if (how == 2) {
    note("the other region's Redis starts empty");
    other.kill();
    other.start_empty();
  } else if (how <= 4) {
    note("keys are evicted from the other region's Redis");
    other.evict(1 + random_->below(20));
  }
}

}  // namespace stayd::sim
