// What `stayd check` says about a Redis and a disk: findings with plain advice, from facts alone.
// Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stayd {

struct Finding {
  enum class Level : unsigned char { good, advice, problem };
  Level level = Level::good;
  std::string subject;  // "version", "memory"
  std::string text;
};

// `info`: the reply of INFO. `clock_offset_ms`: Redis' TIME minus our clock.
std::vector<Finding> judge_redis(std::string_view info, std::int64_t clock_offset_ms);

// Beside INFO, of what becomes of writes when a primary fails.
struct ReplicationFacts {
  std::optional<std::int64_t> min_replicas;  // min-replicas-to-write; nullopt: CONFIG is denied
  std::int64_t max_lag_s = 0;                // min-replicas-max-lag, if that is known
  std::string promoter;  // who promotes a replica: "the Sentinels", "the Cluster"; empty: nobody
};
// replica_advice.cc. Of a primary.
std::vector<Finding> judge_replicas(std::string_view info, const ReplicationFacts& facts);

struct DiskFacts {
  std::string path;
  bool exists = false;
  bool writable = false;
  std::uint64_t free_bytes = 0;
  std::uint64_t total_bytes = 0;
};
std::vector<Finding> judge_disk(const DiskFacts& disk);

// One line a finding: "ok      version     Redis 7.0.15".
std::string render_findings(const std::vector<Finding>& findings);
bool has_problem(const std::vector<Finding>& findings);

}  // namespace stayd
