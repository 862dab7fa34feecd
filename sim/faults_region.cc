// Another region's Redis is used (docs/adr/0015).
#include "sim/faults.h"
#include "sim/world.h"

namespace stayd::sim {

// It knows what it knew when it was left, or is empty or a copy that lags behind when it is new.
// The one of before may be dead, frozen or well. stayd is one, and adoption is complete: it does
// not go before.
bool Faults::change_region() {
  RedisModel& redis = world_.redis;
  RedisModel& other = world_.servers.standby();
  Instance& one = world_.instance;
  if (world_.servers.cluster() || world_.instances.size() > 1) return false;
  if (!adopted() || one.paused() || !other.listening()) return false;
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
  one.change_region(standby_known_);
  standby_known_ = true;
  standby_left_us_ = world_.scheduler.now_us();
  // The one that was left comes back to itself.
  const auto lost = random_->chance(50) ? random_->below(20) : 0;
  later(between(kMs, 10 * kSecond), [&other, lost] {
    other.thaw();
    if (!other.listening()) other.start(lost);
  });
  return true;
}

}  // namespace stayd::sim
