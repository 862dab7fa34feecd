// The event loop: one epoll set, one thread, one clock reading per turn.
//
//   epoll_wait ─▶ turn starts (clock) ─▶ every ready handler ─▶ turn-end hooks ─▶ next wait
//                                        parse, submit, reply   one send() per socket
//
// Sockets are watched, level-triggered: a wake-up costs its recv() and send(), nothing to re-arm,
// and a turn knows its end. Other threads (the ledger's, name resolution) hand in their work.
//
// Thread rule: everything on the loop's thread, except stop(), post() and Waker::wake().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/types.h"
#include "base/waker.h"

namespace stayd {

// A watched descriptor. `events` are epoll's.
class Pollable {
 public:
  virtual ~Pollable() = default;
  virtual void on_ready(std::uint32_t events) = 0;
};

class TurnEnd {
 public:
  virtual ~TurnEnd() = default;
  virtual void on_turn_end(Now now) = 0;

 private:
  friend class Loop;
  bool requested_ = false;
};

class Ticker {
 public:
  virtual ~Ticker() = default;
  virtual void on_tick(Now now) = 0;
};

class Loop {
 public:
  static constexpr std::int64_t kTickMs = 5;
  static constexpr std::size_t kBufferBytes = 64u << 10;

  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs until stop(). stop() from any thread; run() may be called again.
  void run();
  void stop();
  // Tests: one wait of at most `ms`, and everything ready then.
  void run_once(std::int64_t ms);

  // The time of this turn; CLOCK_BOOTTIME and CLOCK_REALTIME, read once per turn.
  Now now() const { return now_; }

  // Any thread. `work` runs in the next turn.
  void post(std::function<void()> work);
  // `target` runs on the loop after wake(), once for any number of wake-ups before it. Destroy on
  // the loop's thread, or after run() has returned.
  std::unique_ptr<Waker> make_waker(std::function<void()> target);

  // `hook` runs once, after the handlers that are ready now. Hooks may request themselves again.
  void request_turn_end(TurnEnd& hook);
  void cancel_turn_end(TurnEnd& hook);
  // Called with the new time at each turn's start, before anything else.
  void on_turn_start(std::function<void(Now)> observer);
  void add_ticker(Ticker& ticker);
  void remove_ticker(Ticker& ticker);

  // Level-triggered. After unwatch() no event arrives, not even one of the current batch.
  void watch(int fd, Pollable& target, std::uint32_t events);
  void rewatch(int fd, Pollable& target, std::uint32_t events);
  void unwatch(int fd, Pollable& target);

  // Shared by all sockets of the loop, for one recv() and its handling.
  char* buffer() { return buffer_.get(); }

 private:
  struct Impl;
  void turn(std::int64_t wait_ms);
  void run_posted();
  void tick_if_due();
  void run_hooks();

  std::unique_ptr<char[]> buffer_;
  std::unique_ptr<Impl> impl_;
  Now now_;
  bool in_turn_ = false;
};

}  // namespace stayd
