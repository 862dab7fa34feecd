#include "net/loop.h"

#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <vector>

#include "base/error.h"

namespace stayd {
namespace asio = boost::asio;
namespace {

constexpr int kBatch = 256;
// Hooks that wake each other are cut off here; the rest runs in the next turn.
constexpr int kMaxHookRounds = 32;

Now read_clock() {
  timespec mono{}, wall{};
  clock_gettime(CLOCK_BOOTTIME, &mono);
  clock_gettime(CLOCK_REALTIME, &wall);
  return Now{.mono_us = mono.tv_sec * 1'000'000LL + mono.tv_nsec / 1000,
             .wall_ms = wall.tv_sec * 1000LL + wall.tv_nsec / 1'000'000};
}

int make_epoll() {
  const int fd = epoll_create1(EPOLL_CLOEXEC);
  STAYD_ASSERT(fd >= 0);
  return fd;
}

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
  asio::io_context io{1};
  asio::posix::stream_descriptor sockets{io, make_epoll()};
  asio::steady_timer timer{io};
  std::vector<TurnEnd*> hooks;
  std::vector<TurnEnd*> running;
  std::vector<Ticker*> tickers;
  std::vector<std::function<void(Now)>> observers;
  std::array<epoll_event, kBatch> batch{};
  int batch_size = 0;
  int batch_at = 0;
  bool turn_posted = false;
};

Loop::Loop()
    : buffer_(new char[kBufferBytes]), impl_(std::make_unique<Impl>()), now_(read_clock()) {
  wait_for_sockets();
  schedule_tick();
}

Loop::~Loop() = default;

asio::io_context& Loop::io() {
  return impl_->io;
}

void Loop::run() {
  impl_->io.restart();
  const auto guard = asio::make_work_guard(impl_->io);
  impl_->io.run();
}

void Loop::stop() {
  impl_->io.stop();
}

void Loop::run_once(std::int64_t ms) {
  impl_->io.restart();
  impl_->io.run_one_for(std::chrono::milliseconds(ms));
  impl_->io.poll();
}

void Loop::post(std::function<void()> work) {
  asio::post(impl_->io, [this, task = std::move(work)] {
    const Turn turn(*this);
    task();
  });
}

std::unique_ptr<Waker> Loop::make_waker(std::function<void()> target) {
  return std::make_unique<LoopWaker>(*this, std::move(target));
}

void Loop::enter() {
  if (depth_++ > 0) return;
  now_ = read_clock();
  for (const auto& observer : impl_->observers) observer(now_);
}

void Loop::leave() {
  if (depth_ > 1) {
    --depth_;
    return;
  }
  for (int round = 0; round < kMaxHookRounds && !impl_->hooks.empty(); ++round) {
    impl_->running.swap(impl_->hooks);
    for (std::size_t i = 0; i < impl_->running.size(); ++i) {
      TurnEnd* hook = impl_->running[i];
      if (hook == nullptr) continue;
      hook->requested_ = false;
      hook->on_turn_end(now_);
    }
    impl_->running.clear();
  }
  depth_ = 0;
  if (!impl_->hooks.empty() && !impl_->turn_posted) {
    impl_->turn_posted = true;
    post([this] { impl_->turn_posted = false; });
  }
}

void Loop::request_turn_end(TurnEnd& hook) {
  if (hook.requested_) return;
  hook.requested_ = true;
  impl_->hooks.push_back(&hook);
  if (depth_ > 0 || impl_->turn_posted) return;
  impl_->turn_posted = true;
  post([this] { impl_->turn_posted = false; });
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

void Loop::schedule_tick() {
  impl_->timer.expires_after(std::chrono::milliseconds(kTickMs));
  impl_->timer.async_wait([this](boost::system::error_code ec) {
    if (ec) return;
    {
      const Turn turn(*this);
      auto& tickers = impl_->tickers;
      for (std::size_t i = 0; i < tickers.size(); ++i) {
        if (tickers[i] != nullptr) tickers[i]->on_tick(now_);
      }
      std::erase(tickers, nullptr);
    }
    schedule_tick();
  });
}

void Loop::watch(int fd, Pollable& target, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &target;
  STAYD_ASSERT(epoll_ctl(impl_->sockets.native_handle(), EPOLL_CTL_ADD, fd, &event) == 0);
}

void Loop::rewatch(int fd, Pollable& target, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &target;
  STAYD_ASSERT(epoll_ctl(impl_->sockets.native_handle(), EPOLL_CTL_MOD, fd, &event) == 0);
}

void Loop::unwatch(int fd, Pollable& target) {
  epoll_ctl(impl_->sockets.native_handle(), EPOLL_CTL_DEL, fd, nullptr);
  for (int i = impl_->batch_at; i < impl_->batch_size; ++i) {
    auto& event = impl_->batch[static_cast<std::size_t>(i)];
    if (event.data.ptr == &target) event.data.ptr = nullptr;
  }
}

void Loop::wait_for_sockets() {
  impl_->sockets.async_wait(asio::posix::descriptor_base::wait_read,
                            [this](boost::system::error_code ec) {
                              if (ec) return;
                              poll_ready();
                              wait_for_sockets();
                            });
}

void Loop::poll_ready() {
  const Turn turn(*this);
  Impl& d = *impl_;
  d.batch_size = std::max(epoll_wait(d.sockets.native_handle(), d.batch.data(), kBatch, 0), 0);
  for (d.batch_at = 0; d.batch_at < d.batch_size;) {
    const epoll_event event = d.batch[static_cast<std::size_t>(d.batch_at++)];
    if (event.data.ptr != nullptr) static_cast<Pollable*>(event.data.ptr)->on_ready(event.events);
  }
  d.batch_at = d.batch_size = 0;
}

}  // namespace stayd
