#include "daemon/pages.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace stayd {

namespace {

constexpr std::string_view kText = "text/plain; charset=utf-8";

HttpPage readyz(const PageInput& input) {
  const Readiness readiness = judge_readiness(input);
  HttpPage page{readiness.ready ? 200 : 503, std::string(kText), readiness.ready ? "ok\n" : ""};
  for (const std::string& reason : readiness.reasons) page.body += fmt::format("{}\n", reason);
  for (const std::string& note : readiness.notes) page.body += fmt::format("note: {}\n", note);
  return page;
}

}  // namespace

std::string_view trust_name(Trust trust) {
  constexpr std::string_view kNames[] = {"out", "suspect", "trusted"};
  return kNames[static_cast<int>(trust)];
}

Readiness judge_readiness(const PageInput& input) {
  const EngineStatus& engine = input.engine;
  Readiness out;
  if (input.process.draining) out.reasons.push_back("stayd is shutting down");
  const bool trusted = engine.shard.trust == Trust::trusted;
  if (!engine.ledger_ok) {
    const std::string cause =
        engine.store.last_error.empty() ? "" : fmt::format(" ({})", engine.store.last_error);
    const std::string text = fmt::format("the ledger cannot be written{}", cause);
    (trusted ? out.notes : out.reasons).push_back(text);
  }
  if (!trusted) {
    const std::string why =
        engine.shard.reason.empty() ? "" : fmt::format(" ({})", engine.shard.reason);
    const bool never_tried = input.counters.connect_failures == 0 &&
                             input.counters.shard_trusted == 0 && input.counters.shard_out == 0;
    if (engine.shard.trust == Trust::out && never_tried) {
      // For the first moments: otherwise the first requests would meet a stayd that knows nothing.
      out.reasons.push_back("Redis has not answered yet");
    } else if (engine.shard.trust == Trust::suspect && !engine.adoption_complete &&
               input.counters.shard_trusted == 0) {
      out.reasons.push_back("Redis is being compared with the ledger for the first time");
    } else {
      out.notes.push_back(fmt::format("Redis is {}{}; sessions are answered from the ledger",
                                      trust_name(engine.shard.trust), why));
    }
  }
  if (engine.shard.shared_unsafe) {
    out.notes.push_back(
        "another stayd works on this Redis: shared-unsafe, only what an emptied "
        "Redis lacks is put back");
  }
  if (!engine.adoption_complete) {
    out.notes.push_back("not every key of Redis is in the ledger yet");
  }
  out.ready = out.reasons.empty();
  return out;
}

HttpPage render_page(std::string_view path, const PageInput& input) {
  if (path == "/livez") return {200, std::string(kText), "ok\n"};
  if (path == "/readyz") return readyz(input);
  if (path == "/metrics") {
    return {200, "text/plain; version=0.0.4; charset=utf-8", render_metrics(input)};
  }
  if (path == "/status.json") return {200, "application/json", render_status_json(input)};
  if (path == "/") {
    return {200, std::string(kText), "stayd\n\n/livez\n/readyz\n/metrics\n/status.json\n"};
  }
  return {404, std::string(kText), "not found\n"};
}

void measure_process(ProcessFacts& facts) {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t pages = 0, resident = 0;
  if (statm >> pages >> resident) {
    facts.resident_bytes = resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  }
  facts.open_fds = 0;
  std::error_code error;
  std::filesystem::directory_iterator fds("/proc/self/fd", error), end;
  for (; !error && fds != end; fds.increment(error)) ++facts.open_fds;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) facts.max_fds = limit.rlim_cur;
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) {
    const auto seconds = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    facts.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }
}

}  // namespace stayd
