// How fast a shared backup in PostgreSQL or MariaDB ships rows, touches them, reads its feed, and
// answers a logout meanwhile. The schema has been made (`stayd backup init`).
//
//   backup_bench URL [rows] [keys] [batch] [connections] [parts: new,again,touch,feed]
//
// Rows have 500-byte values. Each part runs over `rows` rows among `keys` keys.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "base/random.h"
#include "base/real_time.h"
#include "bench_util.h"
#include "store/open_backup.h"

namespace {

using namespace stayd;

struct Counter : BackupEvents {
  std::size_t in_flight = 0, applied = 0, superseded = 0, failed = 0, fed = 0;
  std::string error;
  FeedPage page;
  std::vector<std::int64_t> logouts_us;

  void on_written(BackupToken token, const Error& e, std::vector<BackupWritten> results) override {
    --in_flight;
    note(e);
    if (token != 0) logouts_us.push_back(real_now().mono_us - static_cast<std::int64_t>(token));
    for (const BackupWritten& one : results) {
      ++(one.outcome == BackupOutcome::applied ? applied : superseded);
    }
  }
  void on_read(BackupToken, const Error& e, std::vector<BackupRow>) override {
    --in_flight;
    note(e);
  }
  void on_feed(BackupToken, const Error& e, FeedPage got) override {
    --in_flight;
    note(e);
    fed += got.rows.size();
    page = std::move(got);
  }
  void on_hint() override {}
  void on_status(const BackupStatus&) override {}
  void note(const Error& e) {
    if (e.message.empty()) return;
    ++failed;
    error = e.message;
  }
};

struct Bench {
  Waiter waiter;
  Counter counter;
  std::unique_ptr<PooledBackup> backup;
  std::size_t rows, keys, batch, connections;
  Random random{1};
  Hlc hlc = 1'000;

  static constexpr std::int64_t kPatienceUs = 60'000'000;

  void settle(std::size_t most) {
    backup->deliver();
    while (counter.in_flight > most) {
      waiter.wait();
      backup->deliver();
    }
  }

  BackupWrite write(BackupWrite::Kind kind) {
    BackupWrite out;
    out.kind = kind;
    // As session ids are: random, all over the index.
    Random name(random.below(keys) * 2 + 1);
    out.row.key = full_key(0, fmt::format("sess:{:016x}{:016x}", name.next(), name.next()));
    out.row.state = RowState::live;
    out.row.hlc = ++hlc;
    out.row.origin = 1;
    out.row.record.expires_at_ms = static_cast<std::int64_t>(1'000'000'000'000 + hlc);
    out.row.record.value = std::string(500, static_cast<char>('a' + hlc % 26));
    return out;
  }

  void part(const char* name, std::size_t count, const std::function<void()>& one_batch) {
    counter.applied = counter.superseded = counter.failed = 0;
    counter.logouts_us.clear();
    const auto from = real_now().mono_us;
    const double cpu = cpu_seconds();
    std::int64_t logout_us = from;
    for (std::size_t done = 0; done < count; done += batch) {
      settle(connections);  // so many on the way, and one waiting
      one_batch();
      if (real_now().mono_us - logout_us < 20'000) continue;
      logout_us = real_now().mono_us;
      BackupWrite logout = write(BackupWrite::Kind::put);
      logout.row.key += "x";
      logout.row.state = RowState::tomb;
      ++counter.in_flight;
      backup->write({.writes = {logout}}, static_cast<BackupToken>(logout_us),
                    logout_us + kPatienceUs);
    }
    settle(0);
    const double seconds = static_cast<double>(real_now().mono_us - from) / 1e6;
    auto& waits = counter.logouts_us;
    std::sort(waits.begin(), waits.end());
    fmt::print(
        "{:<8} {:>8.0f} rows/s  {:.1f} us CPU/row  applied {} superseded {} failed {}{}  "
        "logouts {}: p50 {:.1f} ms, max {:.1f} ms\n",
        name, static_cast<double>(count) / seconds,
        (cpu_seconds() - cpu) * 1e6 / static_cast<double>(count), counter.applied,
        counter.superseded, counter.failed, counter.error, waits.size(),
        waits.empty() ? 0 : static_cast<double>(waits[waits.size() / 2]) / 1e3,
        waits.empty() ? 0 : static_cast<double>(waits.back()) / 1e3);
    std::fflush(stdout);
  }

  void writes(const char* name, BackupWrite::Kind kind) {
    part(name, rows, [&] {
      std::vector<BackupWrite> batch_writes;
      for (std::size_t i = 0; i < batch; ++i) batch_writes.push_back(write(kind));
      ++counter.in_flight;
      backup->write({.writes = std::move(batch_writes)}, 0, real_now().mono_us + kPatienceUs);
    });
  }

  void feed() {
    FeedCursor cursor;
    const auto from = real_now().mono_us;
    const double cpu = cpu_seconds();
    counter.fed = 0;
    do {
      ++counter.in_flight;
      backup->feed(cursor, 1000, 0, real_now().mono_us + kPatienceUs);
      settle(0);
      cursor = counter.page.next;
    } while (counter.page.more && counter.failed == 0);
    const double seconds = static_cast<double>(real_now().mono_us - from) / 1e6;
    fmt::print(
        "feed     {:>8.0f} rows/s of {}  {:.1f} us CPU/row {}\n",
        static_cast<double>(counter.fed) / seconds, counter.fed,
        (cpu_seconds() - cpu) * 1e6 / static_cast<double>(std::max<std::size_t>(1, counter.fed)),
        counter.error);
    const auto empty = real_now().mono_us;
    for (int i = 0; i < 100; ++i) {
      ++counter.in_flight;
      backup->feed(cursor, 1000, 0, real_now().mono_us + kPatienceUs);
      settle(0);
    }
    fmt::print("a poll without news: {:.2f} ms\n",
               static_cast<double>(real_now().mono_us - empty) / 1e5);
  }
};

std::size_t argument(int argc, char** argv, int index, std::size_t otherwise) {
  return argc > index ? std::strtoull(argv[index], nullptr, 10) : otherwise;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  Bench bench;
  bench.rows = argument(argc, argv, 2, 400'000);
  bench.keys = argument(argc, argv, 3, 200'000);
  bench.batch = argument(argc, argv, 4, 500);
  bench.connections = argument(argc, argv, 5, 4);
  bench.hlc = static_cast<Hlc>(real_now().mono_us);
  BackupOptions options;
  options.url = argv[1];
  options.now = real_now;
  options.connections = static_cast<int>(bench.connections);
  bench.backup = open_backup(options, bench.waiter);
  bench.backup->set_events(&bench.counter);
  bench.backup->start();
  const std::string parts = argc > 6 ? argv[6] : "new,again,touch,feed";
  const auto wanted = [&](const char* part) { return parts.find(part) != std::string::npos; };
  if (wanted("new")) bench.writes("new", BackupWrite::Kind::put);
  if (wanted("again")) bench.writes("again", BackupWrite::Kind::put);
  if (wanted("touch")) bench.writes("touch", BackupWrite::Kind::touch);
  if (wanted("feed")) bench.feed();
  return bench.counter.failed == 0 ? 0 : 1;
}
