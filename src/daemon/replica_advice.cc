// Of `stayd check`: whether what Redis acknowledges outlives its primary.
#include <fmt/format.h>

#include <algorithm>

#include "base/info.h"
#include "core/replica_list.h"
#include "daemon/advice.h"

namespace stayd {

namespace {

using Level = Finding::Level;

constexpr std::int64_t kLongLagS = 10;  // Redis' own default of min-replicas-max-lag
constexpr std::int64_t kSilentS = 3;    // a replica tells each second how far it is
constexpr std::uint64_t kFarBehind = 1 << 20;

Finding advice(std::string text) {
  return {Level::advice, "replicas", std::move(text)};
}

Finding none(const ReplicationFacts& facts) {
  if (facts.promoter.empty()) {
    return advice("no replica: until Redis is back, sessions live in this host's ledger alone");
  }
  return advice(
      fmt::format("no replica: {} can promote none; until this primary is back, its sessions live "
                  "in this host's ledger alone",
                  facts.promoter));
}

// What a primary that is cut off from its replicas does with writes.
void judge_cut_off(std::size_t replicas, std::uint64_t good, const ReplicationFacts& facts,
                   std::vector<Finding>& out) {
  const auto need = *facts.min_replicas;
  const auto lag = facts.max_lag_s;
  if (need == 0 || lag == 0) {
    out.push_back(advice(fmt::format(
        "{} connected, but {} is 0: a primary cut off from its replicas takes writes that a "
        "failover discards; set min-replicas-to-write to 1, min-replicas-max-lag to 10",
        replicas, need == 0 ? "min-replicas-to-write" : "min-replicas-max-lag")));
    return;
  }
  if (good < static_cast<std::uint64_t>(need)) {
    out.push_back({Level::problem, "replicas",
                   fmt::format("{} good replicas, min-replicas-to-write is {}: Redis refuses every "
                               "write (NOREPLICAS)",
                               good, need)});
  } else if (replicas <= static_cast<std::size_t>(need)) {
    out.push_back(advice(fmt::format(
        "{} connected, and min-replicas-to-write is {}: when one of them fails, Redis refuses "
        "every write; add one",
        replicas, need)));
  } else {
    out.push_back({Level::good, "replicas",
                   fmt::format("{} connected, min-replicas-to-write is {}", replicas, need)});
  }
  if (lag > kLongLagS) {
    out.push_back(advice(
        fmt::format("min-replicas-max-lag is {}: for so many seconds a primary cut off from its "
                    "replicas takes writes that a failover discards; set it to {}",
                    lag, kLongLagS)));
  }
}

void judge_progress(const NamedReplica& replica, std::uint64_t offset, std::vector<Finding>& out) {
  const auto behind = offset - std::min(offset, replica.offset);
  if (!replica.online) {
    out.push_back(advice(
        fmt::format("{} is being given the whole data set: until it has that, it cannot take over",
                    replica.address)));
  } else if (replica.lag_s >= kSilentS) {
    out.push_back(advice(fmt::format(
        "{} has been silent for {} s: what it lacks is lost for it in a failover; look at it, and "
        "at the way to it",
        replica.address, replica.lag_s)));
  } else if (behind >= kFarBehind) {
    out.push_back(advice(
        fmt::format("{} is {} MB behind: what it lacks is lost for it in a failover; look at its "
                    "load, and at the way to it",
                    replica.address, behind >> 20)));
  }
}

}  // namespace

std::vector<Finding> judge_replicas(std::string_view info, const ReplicationFacts& facts) {
  const auto connected = info_number(info, "connected_slaves");
  if (connected == 0) return {none(facts)};
  std::vector<Finding> out;
  const bool counts_good = !info_field(info, "min_slaves_good_slaves").empty();
  const auto good = counts_good ? info_number(info, "min_slaves_good_slaves") : connected;
  if (facts.min_replicas) {
    judge_cut_off(connected, good, facts, out);
  } else {  // managed: INFO counts the good ones only where some are needed
    const std::string_view also = counts_good ? ", min-replicas-to-write is set" : "";
    out.push_back({Level::good, "replicas", fmt::format("{} connected{}", connected, also)});
  }
  for (const NamedReplica& replica : replicas_of(info)) {
    judge_progress(replica, info_number(info, "master_repl_offset"), out);
  }
  return out;
}

}  // namespace stayd
