#include "sim/instance.h"

namespace stayd::sim {

namespace {
constexpr std::int64_t kTickUs = 5 * kMs;
}

Instance::Instance(Scheduler& scheduler, Random& random, RedisModel& redis, Diary& diary,
                   InstanceOptions options, std::string name)
    : scheduler_(scheduler),
      random_(random),
      diary_(diary),
      options_(std::move(options)),
      name_(std::move(name)),
      network_(scheduler, random, redis,
               [this](std::function<void()> action) { deliver(std::move(action)); }),
      disk_(scheduler, random,
            [this](std::function<void()> action) { deliver(std::move(action)); }) {}

void Instance::start() {
  STAYD_ASSERT(!alive());
  ++life_;
  note("stayd starts");
  engine_random_ = std::make_unique<Random>(random_.next());
  engine_ = std::make_unique<Engine>(options_.engine, PolicyTable(options_.policies), disk_,
                                     counters_, *this, *engine_random_);
  LinkOptions link;
  link.endpoint.host = "redis";
  link.max_retry_ms = 8000;
  link.rules = options_.engine.rules;
  data_ =
      std::make_unique<Link>(link, network_, engine_->data_events(), counters_, *engine_random_);
  aux_ = std::make_unique<Link>(link, network_, engine_->aux_events(), counters_, *engine_random_);
  engine_->attach(*data_, *aux_);
  turn([this] {
    engine_->start(now());
    data_->start(now());
    aux_->start(now());
  });
  tick(life_);
}

void Instance::kill() {
  if (!alive()) return;
  note("stayd is killed");
  ++life_;
  waiting_.clear();
  paused_until_us_ = 0;
  data_.reset();
  aux_.reset();
  engine_.reset();
  disk_.crash();
}

void Instance::pause(std::int64_t duration_us) {
  if (!alive() || paused()) return;
  note("stayd is paused for " + std::to_string(duration_us / kMs) + " ms");
  paused_until_us_ = scheduler_.now_us() + duration_us;
  disturbed_us_ = paused_until_us_;
  scheduler_.at(paused_until_us_, [this, life = life_] {
    if (life != life_) return;
    note("stayd goes on");
    // The timer and the sockets are ready at once; the loop takes them in either order.
    const bool tick_first = random_.chance(50);
    if (tick_first) {
      turn([this] {
        data_->on_tick(now());
        aux_->on_tick(now());
        engine_->on_tick(now());
      });
    }
    while (!waiting_.empty() && life == life_) {
      const auto action = std::move(waiting_.front());
      waiting_.pop_front();
      turn(action);
    }
  });
}

void Instance::deliver(std::function<void()> action) {
  if (!alive()) return;
  // While events of a pause are still being worked off, later ones stand behind them.
  if (paused() || !waiting_.empty()) {
    waiting_.push_back(std::move(action));
    return;
  }
  turn(action);
}

void Instance::turn(const std::function<void()>& action) {
  engine_->set_now(now());
  action();
  engine_->on_turn_end();
}

void Instance::submit(Call& call) {
  deliver([this, &call] { engine_->submit(call); });
}

bool Instance::in_step() const {
  if (!alive() || paused()) return false;
  const EngineStatus status = engine_->status();
  return status.shard.trust == Trust::trusted && status.shard.writes_closed &&
         status.shard.debts == 0 && status.shard.debts_complete && status.adoption_complete &&
         status.to_read_back == 0;
}

void Instance::tick(std::uint64_t life) {
  scheduler_.after(kTickUs, [this, life] {
    if (life != life_) return;
    if (!paused()) {
      turn([this] {
        data_->on_tick(now());
        aux_->on_tick(now());
        engine_->on_tick(now());
      });
    }
    tick(life);
  });
}

void Instance::on_event(const Event& event) {
  note(event.text);
  if (on_event_) on_event_(event);
}

}  // namespace stayd::sim
