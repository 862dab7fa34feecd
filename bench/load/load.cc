#include "bench/load/load.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>

namespace stayd::load {

namespace {

constexpr std::size_t kWindow = 1000;  // requests under way while filling and verifying

std::int64_t mono_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::int64_t unix_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Load::Load(LoadOptions options, Sessions& sessions)
    : options_(options), sessions_(sessions), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  for (std::size_t i = 0; i < options_.connections; ++i) {
    Answers& answers = *this;
    connections_.push_back(std::make_unique<Connection>(epoll_, options_.port, answers));
  }
}

Load::~Load() {
  connections_.clear();
  ::close(epoll_);
}

void Load::fill(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    if (under_way_ >= kWindow) drain(kWindow / 2);
    send(sessions_.login(), mono_us());
  }
  drain(0);
}

void Load::verify() {
  start_us_ = 0;  // in no slice
  for (std::uint32_t i = 0; i < sessions_.count(); ++i) {
    if (under_way_ >= kWindow) drain(kWindow / 2);
    send(sessions_.read(i), mono_us());
  }
  drain(0);
}

std::int64_t Load::begin() {
  const auto slice_us = options_.slice_ms * 1000;
  const auto length_us = static_cast<std::int64_t>(options_.seconds * 1e6);
  slices_.resize(static_cast<std::size_t>((length_us + slice_us - 1) / slice_us));
  start_us_ = mono_us();
  return unix_ms();
}

void Load::run(const volatile std::sig_atomic_t& ending) {
  const auto total =
      static_cast<std::int64_t>(options_.seconds * static_cast<double>(options_.rate));
  for (std::int64_t sent = 0; sent < total && ending == 0;) {
    const std::int64_t due_us =
        start_us_ + sent * 1'000'000 / static_cast<std::int64_t>(options_.rate);
    if (due_us > mono_us()) {
      poll(due_us);
    } else {
      send(sessions_.next(), due_us);
      if (++sent % 16 == 0) poll(0);  // late: answers must not wait for the whole backlog
    }
  }
  drain(0);
}

void Load::send(Request request, std::int64_t due_us) {
  request.due_us = due_us;
  bytes_.clear();
  sessions_.append(request, bytes_);
  ++under_way_;
  connections_[turn_++ % connections_.size()]->send(request, bytes_);
}

// Handles what has come; waits for it until `until_us` at most (0: not at all).
void Load::poll(std::int64_t until_us) {
  const std::int64_t wait_us = until_us == 0 ? 0 : std::max<std::int64_t>(until_us - mono_us(), 0);
  const timespec timeout{wait_us / 1'000'000, wait_us % 1'000'000 * 1000};
  epoll_event events[64];
  const int count = ::epoll_pwait2(epoll_, events, 64, &timeout, nullptr);
  for (int i = 0; i < count; ++i) {
    static_cast<Connection*>(events[i].data.ptr)->on_events(events[i].events);
  }
}

// Waits until at most this many are under way; gives them up when none is answered for long.
void Load::drain(std::size_t down_to) {
  auto before = under_way_;
  auto give_up_us = mono_us() + options_.patience_ms * 1000;
  while (under_way_ > down_to) {
    poll(give_up_us);
    if (under_way_ != before) {
      before = under_way_;
      give_up_us = mono_us() + options_.patience_ms * 1000;
    } else if (mono_us() >= give_up_us) {
      for (const auto& connection : connections_) connection->abandon("no answer");
    }
  }
}

void Load::on_answer(const Request& request, const ReplyView& reply) {
  count(request, sessions_.judge(request, reply));
}

void Load::on_lost(const Request& request, std::string_view why) {
  sessions_.lost(request);
  count(request, {Verdict::error, std::string(why)});
}

void Load::count(const Request& request, const Judgement& judgement) {
  --under_way_;
  if (judgement.verdict == Verdict::error) ++errors_[judgement.why];
  if (judgement.verdict == Verdict::wrong) ++wrong_[judgement.why];
  if (start_us_ == 0) return;
  const auto index = (request.due_us - start_us_) / (options_.slice_ms * 1000);
  Slice& slice = slices_[std::min(static_cast<std::size_t>(index), slices_.size() - 1)];
  const auto latency_us = mono_us() - request.due_us;
  slice.latencies.add(latency_us);
  slice.by_kind[static_cast<std::size_t>(kind_of(request.op))].add(latency_us);
  slice.errors += judgement.verdict == Verdict::error ? 1 : 0;
  slice.wrong += judgement.verdict == Verdict::wrong ? 1 : 0;
}

}  // namespace stayd::load
