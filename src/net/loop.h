// The event loop: one io_context, one thread, one clock reading per turn.
//
//   epoll batch ─▶ turn starts (clock) ─▶ every ready handler ─▶ turn-end hooks ─▶ next batch
//                                         parse, submit, reply   one send() per socket
//
// Sockets do not use Asio's per-operation waits: they are watched, level-triggered, in one epoll
// set that Asio waits for as a whole. A wake-up of a socket then costs its recv() and send(),
// nothing to re-arm, and a turn knows its end. Timers, name resolution and posted work are plain
// Asio.
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

namespace boost::asio {
class io_context;
}

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

  // Any thread. `work` runs in a turn of its own.
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
  boost::asio::io_context& io();

  // Makes everything inside one turn; nests. For Asio handlers of net/'s own.
  class Turn {
   public:
    explicit Turn(Loop& loop) : loop_(loop) { loop_.enter(); }
    ~Turn() { loop_.leave(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Loop& loop_;
  };

 private:
  struct Impl;
  void enter();
  void leave();
  void poll_ready();
  void wait_for_sockets();
  void schedule_tick();

  std::unique_ptr<char[]> buffer_;
  std::unique_ptr<Impl> impl_;
  Now now_;
  int depth_ = 0;
};

}  // namespace stayd
