#include "store/postgres/connector.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace stayd {

Connector::Connector(const PostgresOptions& options, std::function<void()> opened)
    : options_(options),
      opened_(std::move(opened)),
      random_(options.seed),
      backoff_us_(options.first_backoff_us) {
  thread_ = std::thread([this] { run(); });
}

void Connector::want(int connections) {
  {
    const std::lock_guard lock(mutex_);
    const auto ready =
        std::ranges::count_if(done_, [](const Opened& one) { return one.connection != nullptr; });
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
    const bool failed = opened.connection == nullptr;
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
  BlockingConnection connection(options_, options_.now().mono_us + options_.connect_timeout_us,
                                cancel_.fd());
  const Result<void> open = connection.open();
  if (!open) {
    out.error = open.error();
    return out;
  }
  Result<PostgresSession> session = connection.set_up();
  if (!session) {
    out.error = session.error();
    return out;
  }
  out.session = std::move(*session);
  out.connection = connection.release();
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
