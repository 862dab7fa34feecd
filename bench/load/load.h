// Open-loop load: requests leave at fixed times, whether or not earlier ones have been answered,
// and a latency counts from the time at which its request should have left. Waiting for a slow
// answer therefore cannot hide the requests that waited behind it (no coordinated omission).
//
//   fill() ──▶ run(): schedule ──▶ connections ──▶ judged ──▶ slices of time ──▶ verify()
//
// Single thread. Owns its connections; `sessions` outlives it. Times in microseconds.
#pragma once

#include <array>
#include <csignal>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load/connection.h"
#include "bench/load/histogram.h"
#include "bench/load/sessions.h"

namespace stayd::load {

struct LoadOptions {
  std::uint16_t port = 6380;
  std::size_t connections = 50;
  std::uint64_t rate = 2000;  // requests per second
  double seconds = 10;
  std::int64_t slice_ms = 1000;     // what one line of the result covers
  std::int64_t patience_ms = 5000;  // for the last answers
};

// The requests that were due in one slice of time.
struct Slice {
  Histogram latencies;
  std::array<Histogram, kKinds> by_kind;
  std::uint64_t errors = 0;
  std::uint64_t wrong = 0;
};

class Load final : private Answers {
 public:
  Load(LoadOptions options, Sessions& sessions);
  ~Load() override;

  // Logs `count` sessions in, as fast as they are acknowledged.
  void fill(std::size_t count);
  // Sets the time of the first request: now. The unix time in milliseconds.
  std::int64_t begin();
  // The schedule, from begin() on, until its end or until `ending` is set. Requires sessions.
  void run(const volatile std::sig_atomic_t& ending);
  // Reads every session once, as fast as they are answered.
  void verify();

  const std::vector<Slice>& slices() const { return slices_; }
  // All errors and wrong answers since the beginning, filling and verifying included, by text.
  const std::map<std::string, std::uint64_t>& errors() const { return errors_; }
  const std::map<std::string, std::uint64_t>& wrong() const { return wrong_; }

 private:
  void on_answer(const Request& request, const ReplyView& reply) override;
  void on_lost(const Request& request, std::string_view why) override;

  void send(Request request, std::int64_t due_us);
  void poll(std::int64_t until_us);
  void drain(std::size_t down_to);
  void count(const Request& request, const Judgement& judgement);

  LoadOptions options_;
  Sessions& sessions_;
  int epoll_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::size_t turn_ = 0;
  std::size_t under_way_ = 0;
  std::int64_t start_us_ = 0;  // 0: not in run()
  std::string bytes_;
  std::vector<Slice> slices_;
  std::map<std::string, std::uint64_t> errors_;
  std::map<std::string, std::uint64_t> wrong_;
};

}  // namespace stayd::load
