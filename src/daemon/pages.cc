#include "daemon/pages.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace stayd {

namespace {

// Counting 10,000 descriptors one by one takes 10 ms, for which the loop serves nobody.
constexpr std::uint64_t kManyFds = 500;
constexpr std::int64_t kRecountMs = 60'000;
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

namespace {

// "Redis 10.0.0.1:6379 (2 of 3 shards are trusted)": the one that is least trusted.
std::string shard_text(const EngineStatus& engine) {
  const auto trusted = std::ranges::count_if(
      engine.shards, [](const NamedShard& shard) { return shard.status.trust == Trust::trusted; });
  return fmt::format("Redis {} ({} of {} shards are trusted)", engine.shard.address, trusted,
                     engine.shards.size());
}

void note_backup(const BackupFacts& backup, std::vector<std::string>& notes) {
  const BackupStatus& status = backup.fleet.backup;
  if (!status.up) {
    notes.push_back(fmt::format("the backup {} is out{}: what changes waits in the ledger",
                                backup.place,
                                status.error.empty() ? "" : fmt::format(" ({})", status.error)));
  } else if (!status.writable) {
    notes.push_back(fmt::format("the backup {} takes no writes: what changes waits in the ledger",
                                backup.place));
  }
  if (!backup.others.empty()) {
    notes.push_back(
        fmt::format("other stayds use the backup {} ({}): several on one backup are experimental",
                    backup.place, fmt::join(backup.others, ", ")));
  }
}

}  // namespace

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
    const bool nobody_to_ask = (input.process.sentinels && input.process.sentinels->lost) ||
                               (input.process.cluster && input.process.cluster->lost);
    const bool never_tried = !nobody_to_ask && input.counters.connect_failures == 0 &&
                             input.counters.shard_trusted == 0 && input.counters.shard_out == 0;
    if (engine.shard.trust == Trust::out && never_tried) {
      // For the first moments: otherwise the first requests would meet a stayd that knows nothing.
      out.reasons.push_back("Redis has not answered yet");
    } else if (engine.shard.trust == Trust::suspect && !engine.adoption_complete &&
               input.counters.shard_trusted == 0) {
      out.reasons.push_back("Redis is being compared with the ledger for the first time");
    } else {
      out.notes.push_back(fmt::format("{} is {}{}; {}sessions are answered from the ledger",
                                      engine.shards.empty() ? "Redis" : shard_text(engine),
                                      trust_name(engine.shard.trust), why,
                                      engine.shards.empty() ? "" : "its "));
    }
  }
  if (const auto& sentinels = input.process.sentinels; sentinels && sentinels->lost) {
    out.notes.push_back(fmt::format("no Sentinel names a primary for {} ({})",
                                    sentinels->primary_name, sentinels->trouble));
  }
  if (const auto& cluster = input.process.cluster) {
    if (cluster->lost) {
      out.notes.push_back(fmt::format("no node of the Cluster answers ({})", cluster->trouble));
    }
    if (!cluster->uncovered.empty()) {
      out.notes.push_back(
          fmt::format("no shard of the Cluster has the slots {}: their sessions "
                      "are answered from the ledger",
                      cluster->uncovered));
    }
  }
  for (const RegionStatus& region : input.process.regions) {
    if (region.in_use && !region.preferred) {
      out.notes.push_back(
          fmt::format("Redis {} is used in place of the one that is preferred", region.name));
    } else if (!region.in_use && !region.well && !region.trouble.empty()) {
      out.notes.push_back(
          fmt::format("Redis {} could not be used ({})", region.name, region.trouble));
    }
  }
  for (const LoginProbeStatus& probe : input.process.login_probes) {
    if (!probe.failing) continue;
    out.notes.push_back(
        fmt::format("new connections to {} fail ({})", probe.address, probe.trouble));
  }
  if (input.process.backup) note_backup(*input.process.backup, out.notes);
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

void measure_descriptors(ProcessFacts& facts, const std::string& folder) {
  struct stat info{};
  if (::stat(folder.c_str(), &info) == 0 && info.st_size > 0) {  // since Linux 6.2
    facts.open_fds = static_cast<std::uint64_t>(info.st_size);
    return;
  }
  if (facts.open_fds >= kManyFds && facts.now_ms - facts.fds_counted_ms < kRecountMs) return;
  facts.fds_counted_ms = facts.now_ms;
  facts.open_fds = 0;
  std::error_code error;
  std::filesystem::directory_iterator fds(folder, error), end;
  for (; !error && fds != end; fds.increment(error)) ++facts.open_fds;
}

void measure_process(ProcessFacts& facts) {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t pages = 0, resident = 0;
  if (statm >> pages >> resident) {
    facts.resident_bytes = resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  }
  measure_descriptors(facts, "/proc/self/fd");
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
