// What the HTTP port says: /livez, /readyz, /metrics, /status.json. Pure functions from plain
// values to text; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "core/fleet_store.h"
#include "core/status.h"
#include "observe/counters.h"
#include "redis/cluster_watch.h"
#include "redis/login_probe.h"
#include "redis/region_choice.h"
#include "redis/sentinel.h"

namespace stayd {

// Of the shared backup.
struct BackupFacts {
  std::string place;  // without user and password
  FleetStatus fleet;
  std::int64_t oldest_unshipped_ms = 0;  // how long that has waited; 0: nothing has
  std::int64_t feed_age_ms = -1;         // since it was read to its end; -1: never
  std::vector<std::string> others;       // hosts of the fleet that were seen lately, by name
};

// What the daemon knows besides the engine.
struct ProcessFacts {
  std::string version;
  std::string redis_url_host;  // address of Redis without user and password
  std::string ledger_path;
  std::vector<std::string> resp;  // addresses of the Redis port
  std::int64_t started_ms = 0;
  std::int64_t now_ms = 0;
  std::uint64_t clients = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t open_fds = 0;
  std::int64_t fds_counted_ms = 0;  // see measure_descriptors()
  std::uint64_t max_fds = 0;
  double cpu_seconds = 0;
  bool draining = false;
  // Ends of certificates, seconds since the epoch; 0: none, or not seen yet.
  std::vector<std::pair<std::string, std::int64_t>> certificates;
  std::vector<LoginProbeStatus> login_probes;  // one for each primary
  std::optional<SentinelStatus> sentinels;     // nullopt: the URL names no Sentinels
  std::optional<ClusterStatus> cluster;        // nullopt: nor a Cluster
  std::vector<RegionStatus> regions;           // empty: there is only one
  std::optional<BackupFacts> backup;           // nullopt: there is none
};

struct PageInput {
  const EngineStatus& engine;
  const Counters& counters;
  const ProcessFacts& process;
};

struct HttpPage {
  int status = 200;
  std::string content_type;
  std::string body;
};

// Readiness: can sessions be answered? `reasons`: why not; `notes`: what is worth knowing although.
struct Readiness {
  bool ready = false;
  std::vector<std::string> reasons;
  std::vector<std::string> notes;
};
Readiness judge_readiness(const PageInput& input);

// `path` without its query. Unknown paths: 404. Methods other than GET and HEAD are the caller's:
// 405.
HttpPage render_page(std::string_view path, const PageInput& input);

std::string render_metrics(const PageInput& input);      // Prometheus text format 0.0.4
std::string render_status_json(const PageInput& input);  // one object, "trust", "debts", ...

// The JSON of a running server as `stayd status` shows it to people. Errors: `invalid`.
Result<std::string> render_status_table(std::string_view json);
// Whether that JSON says that the [[redis]] of this name is in use, and trusted.
bool is_trusted_region(std::string_view json, std::string_view name);
std::string_view trust_name(Trust trust);  // "out", "suspect", "trusted"

// RSS, descriptors and CPU time of this process, from /proc/self and getrusage; now_ms is given.
void measure_process(ProcessFacts& facts);
// Linux before 6.2 does not tell how many entries `folder` (/proc/self/fd) has: they are counted,
// once a minute if they are many.
void measure_descriptors(ProcessFacts& facts, const std::string& folder);

}  // namespace stayd
