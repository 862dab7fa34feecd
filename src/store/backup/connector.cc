#include "store/backup/connector.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace stayd {

Connector::Connector(BackupDriver& driver, const BackupOptions& options,
                     std::function<void()> opened)
    : driver_(driver),
      options_(options),
      opened_(std::move(opened)),
      random_(options.seed),
      backoff_us_(options.first_backoff_us) {
  thread_ = std::thread([this] { run(); });
}

void Connector::want(int connections) {
  {
    const std::lock_guard lock(mutex_);
    const auto ready =
        std::ranges::count_if(done_, [](const Opened& one) { return one.link != nullptr; });
    wanted_ = connections - static_cast<int>(ready);
  }
  changed_.notify_one();
}

std::vector<Connector::Opened> Connector::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(done_, {});
}

void Connector::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  cancel_.set();
  changed_.notify_one();
  thread_.join();
}

void Connector::run() {
  while (wait_for_work()) {
    Opened opened = open();
    const bool failed = opened.link == nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (!failed) --wanted_;
      done_.push_back(std::move(opened));
    }
    opened_();
    if (failed) {
      back_off();
    } else {
      backoff_us_ = options_.first_backoff_us;
    }
  }
}

Connector::Opened Connector::open() {
  Opened out;
  Result<std::unique_ptr<BackupLink>> link = driver_.open(cancel_.fd());
  if (link) {
    out.link = std::move(*link);
  } else {
    out.error = link.error();
  }
  return out;
}

bool Connector::wait_for_work() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopping_ || wanted_ > 0; });
  return !stopping_;
}

void Connector::back_off() {
  const auto bound = static_cast<std::uint64_t>(backoff_us_);
  const auto wait = std::chrono::microseconds(random_.below(bound) + 1);
  backoff_us_ = std::min(backoff_us_ * 2, options_.last_backoff_us);
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, wait, [this] { return stopping_; });
}

}  // namespace stayd
