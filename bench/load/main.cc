// session_load: real sessions at a fixed rate against 127.0.0.1, and whether every answer was
// right.
//
// SIGTERM ends the schedule early. Prints one JSON line {"started_ms": UNIX TIME} when the first
// request leaves, and one with the result at the end. Exit code 0 whatever the answers were; they
// are for the reader to judge.
#include <fmt/format.h>
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "bench/load/load.h"

namespace {

using namespace stayd;
using namespace stayd::load;

volatile std::sig_atomic_t ending = 0;

void on_sigterm(int) {
  ending = 1;
}

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + '"';
}

std::string counts(const std::map<std::string, std::uint64_t>& by_text) {
  std::string out;
  for (const auto& [text, count] : by_text) {
    out += fmt::format("{}{}:{}", out.empty() ? "" : ",", json_quoted(text), count);
  }
  return "{" + out + "}";
}

std::string buckets_text(const Histogram& histogram) {
  std::string out;
  for (const auto& [upper_us, count] : histogram.buckets()) {
    out += fmt::format("{}[{},{}]", out.empty() ? "" : ",", upper_us, count);
  }
  return "[" + out + "]";
}

std::string slice_text(const Slice& slice) {
  const auto buckets = [&slice](Kind kind) {
    return buckets_text(slice.by_kind[static_cast<std::size_t>(kind)]);
  };
  return fmt::format(
      "{{\"count\":{},\"errors\":{},\"wrong\":{},\"p50_us\":{},\"p99_us\":{},\"max_us\":{},"
      "\"buckets\":{{\"read\":{},\"write\":{},\"logout\":{}}}}}",
      slice.latencies.count(), slice.errors, slice.wrong, slice.latencies.percentile_us(0.5),
      slice.latencies.percentile_us(0.99), slice.latencies.max_us(), buckets(Kind::read),
      buckets(Kind::write), buckets(Kind::logout));
}

void print_result(const Load& load, std::int64_t slice_ms) {
  std::string slices;
  for (const Slice& slice : load.slices()) {
    slices += (slices.empty() ? "" : ",") + slice_text(slice);
  }
  fmt::print("{{\"slice_ms\":{},\"errors\":{},\"wrong\":{},\"slices\":[{}]}}\n", slice_ms,
             counts(load.errors()), counts(load.wrong()), slices);
}

}  // namespace

int main(int argc, char** argv) {
  LoadOptions options;
  std::size_t sessions = 100'000;
  std::size_t bytes = 512;
  std::uint64_t seed = 1;
  CLI::App app{"Sessions at a fixed rate; latency counts from when a request should have left."};
  app.add_option("--port", options.port, "of stayd or Redis on 127.0.0.1");
  app.add_option("--rate", options.rate, "requests per second")->check(CLI::Range(1, 1'000'000));
  app.add_option("--seconds", options.seconds, "how long; 0: only log the sessions in");
  app.add_option("--connections", options.connections)->check(CLI::Range(1, 10'000));
  app.add_option("--sessions", sessions, "logged in before it starts")
      ->check(CLI::Range(1, 100'000'000));
  app.add_option("--bytes", bytes, "of a session's value");
  app.add_option("--slice-ms", options.slice_ms, "results per so many milliseconds")
      ->check(CLI::Range(1, 60'000));
  app.add_option("--seed", seed, "of the mix");
  CLI11_PARSE(app, argc, argv);

  ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  std::signal(SIGTERM, on_sigterm);
  Random random(seed);
  Sessions world(bytes, random);
  Load load(options, world);
  load.fill(sessions);
  if (options.seconds > 0) {
    fmt::print("{{\"started_ms\":{}}}\n", load.begin());
    std::fflush(stdout);
    load.run(ending);
    load.verify();
  }
  print_result(load, options.slice_ms);
  return 0;
}
