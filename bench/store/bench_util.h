// What the benches of stores share: waiting for a store's thread, and the processor time taken.
#pragma once

#include <sys/resource.h>

#include <condition_variable>
#include <mutex>

#include "base/waker.h"

namespace stayd {

class Waiter : public Waker {
 public:
  void wake() override {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_one();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return woken_; });
    woken_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
};

// `who`: RUSAGE_SELF, RUSAGE_THREAD.
inline double cpu_seconds(int who = RUSAGE_SELF) {
  rusage usage{};
  ::getrusage(who, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace stayd
