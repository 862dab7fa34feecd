// hostile: a crowd of bad clients at a Redis port of 127.0.0.1, until SIGTERM or --seconds. Prints
// a line once all are connected, and what became of them at the end; see hostile.py for the
// verdict.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>

#include "tests/hostile/crowd.h"

namespace {

using namespace stayd::hostile;

volatile std::sig_atomic_t ending = 0;

std::int64_t now_ms() {
  // tidy: allow(clock) because a real server is pestered
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

}  // namespace

int main(int argc, char** argv) {
  CrowdOptions options;
  std::int64_t seconds = 120;
  CLI::App app{"Thousands of bad clients at one Redis port."};
  app.add_option("--port", options.port)->required();
  app.add_option("--clients", options.clients);
  app.add_option("--seconds", seconds);
  app.add_option("--seed", options.seed);
  CLI11_PARSE(app, argc, argv);

  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < options.clients + 50) {
    fmt::print("the limit of descriptors is {}: no room for {} clients\n", files.rlim_cur,
               options.clients);
    return 2;
  }
  std::signal(SIGTERM, [](int) { ending = 1; });
  Crowd crowd(options);
  const std::int64_t end_ms = now_ms() + seconds * 1000;
  std::size_t most = 0;
  while (ending == 0 && now_ms() < end_ms) {
    crowd.turn(now_ms(), 2);
    most = std::max(most, crowd.connected());
  }
  fmt::print("at once: {}\n", most);
  for (std::size_t i = 0; i < kBadnesses; ++i) {
    fmt::print("{:18} {:8} connections, {:8} sent away\n", name_of(static_cast<Badness>(i)),
               crowd.dialled()[i], crowd.sent_away()[i]);
  }
  return 0;
}
