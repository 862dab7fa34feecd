// How fast the ledger takes SETs: batches handed over as a loop does, one submit() per turn.
//
//   ledger_bench [folder] [rows] [keys] [per turn] [in flight]
//
// LEDGER_BENCH_SEAL=1, LEDGER_BENCH_ZSTD=1: values are encrypted, compressed.
// LEDGER_BENCH_KILL=1: ends by SIGKILL, so that the next run's start has a log to replay.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/real_time.h"
#include "bench_util.h"
#include "store/ledger/ledger.h"

namespace {

using namespace stayd;

struct Counter : StoreEvents {
  std::uint64_t done = 0;
  std::uint64_t failed = 0;
  void on_applied(StoreToken, const Error& error, const ApplyResult&) override {
    ++done;
    failed += error.message.empty() ? 0 : 1;
  }
  void on_loaded(StoreToken, const Error&, Row) override { ++done; }
  void on_scanned(StoreToken, const Error&, ScanPage) override { ++done; }
};

}  // namespace

int main(int argc, char** argv) {
  const std::string path = argc > 1 ? argv[1] : "ledger-bench";
  const std::uint64_t rows = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000;
  const std::uint64_t keys = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 200'000;
  const std::uint64_t per_turn = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 32;
  const std::uint64_t in_flight = argc > 5 ? std::strtoull(argv[5], nullptr, 10) : 16'384;
  Waiter waiter;
  Counter counter;
  LedgerOptions options;
  options.path = path;
  options.wall_ms = [] { return real_now().wall_ms; };
  if (std::getenv("LEDGER_BENCH_SEAL") != nullptr) {
    options.at_rest.keys.emplace_back(std::string(SecretKey::kBytes, 'k'));
  }
  options.at_rest.compress = std::getenv("LEDGER_BENCH_ZSTD") != nullptr;
  const auto opening = std::chrono::steady_clock::now();
  Result<std::unique_ptr<Ledger>> opened = Ledger::open(options, waiter);
  const std::chrono::duration<double, std::milli> open_ms =
      std::chrono::steady_clock::now() - opening;
  if (!opened) {
    fmt::print(stderr, "{}\n", opened.error().message);
    return 2;
  }
  Ledger& ledger = **opened;
  ledger.set_events(&counter);
  const std::string value(500, 'v');
  Hlc hlc = ledger.highest_hlc();
  const auto start = std::chrono::steady_clock::now();
  const double process_before = cpu_seconds(RUSAGE_SELF);
  const double loop_before = cpu_seconds(RUSAGE_THREAD);
  for (std::uint64_t i = 0; i < rows;) {
    for (std::uint64_t j = 0; j < per_turn && i < rows; ++j, ++i) {
      Mutation put;
      put.key = full_key(0, fmt::format("sess:{:016x}", (i * 0x9e3779b97f4a7c15ULL) % keys));
      put.hlc = ++hlc;
      put.record.value = value;
      put.record.expires_at_ms = real_now().wall_ms + 3'600'000;
      ledger.apply_one(std::move(put), i + 1, Durability::written);
    }
    ledger.submit();
    ledger.deliver();
    while (i - counter.done > in_flight) {
      waiter.wait();
      ledger.deliver();
    }
  }
  while (counter.done < rows) {
    waiter.wait();
    ledger.deliver();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const double loop = cpu_seconds(RUSAGE_THREAD) - loop_before;
  const double others = cpu_seconds(RUSAGE_SELF) - process_before - loop;
  const StoreStats stats = ledger.stats();
  fmt::print(
      "{} rows, {} failed: {:.0f} rows/s; CPU per row: loop {:.2f} us, ledger and RocksDB "
      "{:.2f} us; rows per batch {:.1f}; {} syncs\n",
      rows, counter.failed, static_cast<double>(rows) / took.count(),
      loop / static_cast<double>(rows) * 1e6, others / static_cast<double>(rows) * 1e6,
      static_cast<double>(rows) /
          static_cast<double>(std::max<std::uint64_t>(stats.batches_total, 1)),
      stats.sync_total);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  fmt::print("open {:.0f} ms; at most {} MB resident\n", open_ms.count(), usage.ru_maxrss / 1024);
  std::fflush(stdout);
  if (std::getenv("LEDGER_BENCH_KILL") != nullptr) ::raise(SIGKILL);
  return 0;
}
