#include "net/loop.h"

#include <sched.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/event_fd.h"
#include "base/real_time.h"

namespace stayd {
namespace {

constexpr int kBatch = 256;
// Hooks that wake each other are cut off here; the rest runs in the next turn.
constexpr int kMaxHookRounds = 32;
// Turns of so many sockets, so close to one another: where cores are scarce, whoever feeds the loop
// is let in first, and the next turn does more with the same system calls. Not at a lower load: a
// busy neighbour would be let in for a time slice, about 1.5 ms or more.
constexpr int kHotSockets = 4;
constexpr std::int64_t kHotTurnUs = 1000;

// Ends the loop's wait, from any thread.
class WakeUp final : public Pollable {
 public:
  int fd() const { return event_.fd(); }
  void set() { event_.set(); }
  void on_ready(std::uint32_t) override { event_.clear(); }

 private:
  EventFd event_;
};

struct WakeState {
  std::atomic<bool> pending{false};
  bool alive = true;
  std::function<void()> target;
};

class LoopWaker final : public Waker {
 public:
  LoopWaker(Loop& loop, std::function<void()> target)
      : loop_(loop), state_(std::make_shared<WakeState>()) {
    state_->target = std::move(target);
  }
  ~LoopWaker() override { state_->alive = false; }
  void wake() override {
    if (state_->pending.exchange(true, std::memory_order_acq_rel)) return;
    loop_.post([state = state_] {
      state->pending.store(false, std::memory_order_release);
      if (state->alive) state->target();
    });
  }

 private:
  Loop& loop_;
  std::shared_ptr<WakeState> state_;
};

}  // namespace

struct Loop::Impl {
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  WakeUp wake_up;
  std::atomic<bool> stopped{false};
  std::mutex mutex;
  std::vector<std::function<void()>> posted;  // under `mutex`
  std::vector<std::function<void()>> working;

  std::vector<TurnEnd*> hooks;
  std::vector<TurnEnd*> running;
  std::vector<Ticker*> tickers;
  std::vector<std::function<void(Now)>> observers;
  std::int64_t next_tick_us = 0;
  std::array<epoll_event, kBatch> batch{};
  int batch_size = 0;
  int batch_at = 0;

  ~Impl() { ::close(epoll); }
};

Loop::Loop() : buffer_(new char[kBufferBytes]), impl_(std::make_unique<Impl>()), now_(real_now()) {
  STAYD_ASSERT(impl_->epoll >= 0);
  impl_->next_tick_us = now_.mono_us + kTickMs * 1000;
  watch(impl_->wake_up.fd(), impl_->wake_up, EPOLLIN);
}

Loop::~Loop() = default;

void Loop::run() {
  while (!impl_->stopped.exchange(false)) turn(kTickMs);
}

void Loop::stop() {
  impl_->stopped = true;
  impl_->wake_up.set();
}

void Loop::run_once(std::int64_t ms) {
  turn(ms);
}

void Loop::post(std::function<void()> work) {
  bool first = false;
  {
    const std::lock_guard lock(impl_->mutex);
    first = impl_->posted.empty();
    impl_->posted.push_back(std::move(work));
  }
  if (first) impl_->wake_up.set();
}

std::unique_ptr<Waker> Loop::make_waker(std::function<void()> target) {
  return std::make_unique<LoopWaker>(*this, std::move(target));
}

// Waits for `wait_ms`, or until the next tick if that comes first.
void Loop::turn(std::int64_t wait_ms) {
  Impl& d = *impl_;
  const std::int64_t to_tick_ms = (d.next_tick_us - now_.mono_us + 999) / 1000;
  const auto timeout = static_cast<int>(std::clamp<std::int64_t>(to_tick_ms, 0, wait_ms));
  d.batch_size = std::max(epoll_wait(d.epoll, d.batch.data(), kBatch, timeout), 0);
  const std::int64_t last_turn_us = now_.mono_us;
  now_ = real_now();
  const bool hot = d.batch_size >= kHotSockets && now_.mono_us - last_turn_us < kHotTurnUs;
  in_turn_ = true;
  for (const auto& observer : d.observers) observer(now_);
  for (d.batch_at = 0; d.batch_at < d.batch_size;) {
    const epoll_event event = d.batch[static_cast<std::size_t>(d.batch_at++)];
    if (event.data.ptr != nullptr) static_cast<Pollable*>(event.data.ptr)->on_ready(event.events);
  }
  d.batch_at = d.batch_size = 0;
  run_posted();
  tick_if_due();
  run_hooks();
  in_turn_ = false;
  if (hot) ::sched_yield();
}

void Loop::run_posted() {
  Impl& d = *impl_;
  {
    const std::lock_guard lock(d.mutex);
    d.working.swap(d.posted);
  }
  for (const auto& work : d.working) work();
  d.working.clear();
}

void Loop::tick_if_due() {
  Impl& d = *impl_;
  if (now_.mono_us < d.next_tick_us) return;
  d.next_tick_us = now_.mono_us + kTickMs * 1000;
  for (std::size_t i = 0; i < d.tickers.size(); ++i) {
    if (d.tickers[i] != nullptr) d.tickers[i]->on_tick(now_);
  }
  std::erase(d.tickers, nullptr);
}

void Loop::run_hooks() {
  Impl& d = *impl_;
  for (int round = 0; round < kMaxHookRounds && !d.hooks.empty(); ++round) {
    d.running.swap(d.hooks);
    for (std::size_t i = 0; i < d.running.size(); ++i) {
      TurnEnd* hook = d.running[i];
      if (hook == nullptr) continue;
      hook->requested_ = false;
      hook->on_turn_end(now_);
    }
    d.running.clear();
  }
  if (!d.hooks.empty()) d.wake_up.set();
}

void Loop::request_turn_end(TurnEnd& hook) {
  if (hook.requested_) return;
  hook.requested_ = true;
  impl_->hooks.push_back(&hook);
  if (!in_turn_) impl_->wake_up.set();
}

void Loop::cancel_turn_end(TurnEnd& hook) {
  hook.requested_ = false;
  std::erase(impl_->hooks, &hook);
  std::replace(impl_->running.begin(), impl_->running.end(), &hook, static_cast<TurnEnd*>(nullptr));
}

void Loop::on_turn_start(std::function<void(Now)> observer) {
  observer(now_);
  impl_->observers.push_back(std::move(observer));
}

void Loop::add_ticker(Ticker& ticker) {
  impl_->tickers.push_back(&ticker);
}

void Loop::remove_ticker(Ticker& ticker) {
  std::replace(impl_->tickers.begin(), impl_->tickers.end(), &ticker,
               static_cast<Ticker*>(nullptr));
}

void Loop::watch(int fd, Pollable& target, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &target;
  STAYD_ASSERT(epoll_ctl(impl_->epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

void Loop::rewatch(int fd, Pollable& target, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &target;
  STAYD_ASSERT(epoll_ctl(impl_->epoll, EPOLL_CTL_MOD, fd, &event) == 0);
}

void Loop::unwatch(int fd, Pollable& target) {
  epoll_ctl(impl_->epoll, EPOLL_CTL_DEL, fd, nullptr);
  for (int i = impl_->batch_at; i < impl_->batch_size; ++i) {
    auto& event = impl_->batch[static_cast<std::size_t>(i)];
    if (event.data.ptr == &target) event.data.ptr = nullptr;
  }
}

}  // namespace stayd
