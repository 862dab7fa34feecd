// One stayd process in the simulator: the real Engine and two real Links on simulated network and
// disk. Can be killed, started again and paused. One loop; owned by the World.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "core/engine.h"
#include "redis/link.h"
#include "sim/disk.h"
#include "sim/network.h"
#include "sim/scheduler.h"

namespace stayd::sim {

struct InstanceOptions {
  EngineOptions engine;
  std::vector<SessionPolicy> policies;
};

class Instance final : public EventSink {
 public:
  Instance(Scheduler& scheduler, Random& random, RedisModel& redis, InstanceOptions options);

  bool alive() const { return engine_ != nullptr; }
  void start();
  // kill -9: nothing is said to anybody; what the disk has written stays.
  void kill();
  // SIGSTOP for a while: nothing happens inside, everything waits outside.
  void pause(std::int64_t duration_us);
  bool paused() const { return paused_until_us_ > scheduler_.now_us(); }
  // When the process last stood still, or its disk was slow: no promise of speed before that.
  std::int64_t disturbed_us() const { return disturbed_us_; }
  void note_disturbance() { disturbed_us_ = std::max(disturbed_us_, scheduler_.now_us()); }

  // Requires alive().
  void submit(Call& call);
  void restart_adoption() { engine_->restart_adoption(); }
  EngineStatus status() const { return engine_->status(); }
  const Counters& counters() const { return counters_; }

  // The host's clock, which may differ from the others'.
  void set_clock(std::int64_t offset_ms) { disk_.clock_offset_ms = clock_offset_ms_ = offset_ms; }
  // Hears of every event of stayd, just as it happens.
  void watch(std::function<void(const Event&)> on_event) { on_event_ = std::move(on_event); }

  Network& network() { return network_; }
  Disk& disk() { return disk_; }
  const Disk& disk() const { return disk_; }
  // State changes, newest last; at most kMaxEvents.
  const std::deque<std::string>& events() const { return events_; }
  void note(const std::string& text);

 private:
  static constexpr std::size_t kMaxEvents = 400;
  void on_event(const Event& event) override;
  void deliver(std::function<void()> action);
  void turn(const std::function<void()>& action);
  void tick(std::uint64_t life);
  Now now() const {
    Now now = scheduler_.now();
    now.wall_ms += clock_offset_ms_;
    return now;
  }

  Scheduler& scheduler_;
  Random& random_;
  InstanceOptions options_;
  Counters counters_;
  Network network_;
  Disk disk_;
  std::unique_ptr<Random> engine_random_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Link> data_, aux_;
  std::uint64_t life_ = 0;
  std::int64_t paused_until_us_ = 0;
  std::int64_t disturbed_us_ = 0;
  std::int64_t clock_offset_ms_ = 0;
  std::function<void(const Event&)> on_event_;
  std::deque<std::function<void()>> waiting_;  // events of the process while it is paused
  std::deque<std::string> events_;
};

}  // namespace stayd::sim
