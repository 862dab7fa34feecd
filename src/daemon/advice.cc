#include "daemon/advice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/info.h"

namespace stayd {

namespace {

using Level = Finding::Level;

class Judge {
 public:
  explicit Judge(std::string_view info) : info_(info) {}

  void version() {
    const std::string version(info_field(info_, "redis_version"));
    if (version.empty()) {
      add(Level::problem, "version", "INFO gives no redis_version; what answers may not be Redis");
      return;
    }
    const int major = std::atoi(version.c_str());
    const std::size_t dot = version.find('.');
    const int minor = dot == std::string::npos ? 0 : std::atoi(version.c_str() + dot + 1);
    if (major < 6 || (major == 6 && minor < 2)) {
      add(Level::advice, "version",
          fmt::format(
              "Redis {} is older than 6.2: sessions work, but GETEX, GETDEL and EXAT do not "
              "exist there; plan an upgrade",
              version));
    } else {
      add(Level::good, "version", fmt::format("Redis {}", version));
    }
    if (info_field(info_, "redis_mode") == "cluster") {
      add(Level::problem, "mode",
          "this is a node of a Cluster: the URL should be redis+cluster://");
    }
  }

  void role() {
    const auto role = info_field(info_, "role");
    if (role != "master") {
      add(Level::problem, "role",
          fmt::format("the role is {}; stayd needs the primary, a replica refuses writes", role));
    } else {
      add(Level::good, "role", "primary");
    }
    const bool loading = info_number(info_, "loading") != 0;
    if (loading) add(Level::problem, "loading", "Redis is loading its dataset; try again later");
  }

  void persistence() {
    const bool aof = info_number(info_, "aof_enabled") != 0;
    if (info_field(info_, "rdb_last_bgsave_status") == "err") {
      add(Level::problem, "persistence",
          "the last RDB save failed: Redis may refuse writes (MISCONF); look at its disk");
    }
    if (aof && info_field(info_, "aof_last_write_status") == "err") {
      add(Level::problem, "persistence",
          "the last AOF write failed: Redis refuses writes (MISCONF); look at its disk");
    } else if (aof) {
      add(Level::good, "persistence", "AOF is on");
    } else {
      add(Level::advice, "persistence",
          "AOF is off: a restart loses what came after the last snapshot; stayd puts sessions "
          "back, "
          "everything else is gone");
    }
  }

  void memory() {
    const auto used = info_number(info_, "used_memory"), max = info_number(info_, "maxmemory");
    const std::string policy(info_field(info_, "maxmemory_policy"));
    const auto evicted = info_number(info_, "evicted_keys");
    if (max == 0) {
      add(Level::advice, "memory",
          "maxmemory is 0: without a limit the kernel ends Redis when the host runs full; set one");
    } else {
      const auto percent = used * 100 / max;
      const std::string text = fmt::format("{} MB of {} MB used ({} %), policy {}", used >> 20,
                                           max >> 20, percent, policy);
      add(percent >= 90 ? Level::advice : Level::good, "memory",
          percent >= 90 ? text + ": new sessions will soon be refused or evicted; give it more"
                        : text);
    }
    if (evicted > 0) {
      add(Level::advice, "evictions",
          fmt::format(
              "{} keys evicted since the start: sessions among them are put back on access, "
              "at a cost; give Redis more memory",
              evicted));
    } else if (max != 0 && policy.starts_with("allkeys")) {
      add(Level::advice, "evictions",
          fmt::format(
              "policy {} evicts sessions when memory is full; noeviction on a Redis of their "
              "own is safer",
              policy));
    }
  }

  void clock(std::int64_t offset_ms) {
    const auto distance = offset_ms < 0 ? -offset_ms : offset_ms;
    const std::string text = fmt::format("Redis' clock is {} ms {} ours", distance,
                                         offset_ms < 0 ? "behind" : "ahead of");
    if (distance > 500) {
      add(Level::problem, "clock", text + "; expiry needs clocks within 500 ms: check NTP on both");
    } else {
      add(Level::good, "clock", text);
    }
  }

  std::vector<Finding> take() { return std::move(findings_); }

 private:
  void add(Level level, std::string subject, std::string text) {
    findings_.push_back({level, std::move(subject), std::move(text)});
  }
  std::string_view info_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> judge_redis(std::string_view info, std::int64_t clock_offset_ms) {
  Judge judge(info);
  judge.version();
  judge.role();
  judge.persistence();
  judge.memory();
  judge.clock(clock_offset_ms);
  return judge.take();
}

std::vector<Finding> judge_disk(const DiskFacts& disk) {
  constexpr std::uint64_t kLowBytes = 256u << 20;
  if (!disk.writable) {
    return {{Level::problem, "ledger",
             fmt::format("{} {}; without a ledger nothing is protected", disk.path,
                         disk.exists ? "cannot be written by this user" : "cannot be created")}};
  }
  const std::string text = fmt::format("{}, {} MB free of {} MB", disk.path, disk.free_bytes >> 20,
                                       disk.total_bytes >> 20);
  if (disk.free_bytes < kLowBytes) {
    return {
        {Level::advice, "ledger", text + ": little; when it is full, new sessions are refused"}};
  }
  return {{Level::good, "ledger", text}};
}

std::string render_findings(const std::vector<Finding>& findings) {
  constexpr std::string_view kLevels[] = {"ok", "advice", "PROBLEM"};
  std::string out;
  for (const Finding& finding : findings) {
    out += fmt::format("{:<8}{:<12}{}\n", kLevels[static_cast<int>(finding.level)], finding.subject,
                       finding.text);
  }
  return out;
}

bool has_problem(const std::vector<Finding>& findings) {
  return std::ranges::any_of(
      findings, [](const Finding& finding) { return finding.level == Level::problem; });
}

}  // namespace stayd
