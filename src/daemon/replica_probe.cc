#include "daemon/replica_probe.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "base/info.h"
#include "core/replica_list.h"
#include "daemon/units.h"
#include "resp/reply.h"

namespace stayd {

namespace {

using Level = Finding::Level;

// A number that CONFIG GET gives; nullopt: it is denied.
std::optional<std::int64_t> config_number(RedisProbe& probe, std::string_view name) {
  const auto frame = probe.call({"CONFIG", "GET", name});
  if (!frame || ReplyView(*frame).is_error()) return std::nullopt;
  auto elements = ReplyView(*frame).elements();
  ReplyView key, value;
  if (!elements.next(key) || !elements.next(value)) return std::nullopt;
  return parse_integer(value.text());
}

Finding unreachable(std::string_view address, std::string_view why) {
  return {Level::problem, "replica",
          fmt::format("{} ({}); it could not be asked in an outage", address, why)};
}

Finding judge(const std::string& address, Result<RedisProbe> probe) {
  if (!probe) return unreachable(address, probe.error().message);
  const auto frame = probe->call({"INFO", "replication"});
  if (!frame) return unreachable(address, frame.error().message);
  const ReplyView reply(*frame);
  if (reply.is_error()) return unreachable(address, fmt::format("INFO: {}", reply.text()));
  if (info_field(reply.text(), "master_link_status") == "down") {
    return {Level::advice, "replica", fmt::format("{} answers, and has lost its primary", address)};
  }
  return {Level::good, "replica", fmt::format("{} answers, in step", address)};
}

}  // namespace

ReplicationFacts replication_facts(RedisProbe& primary, std::string promoter) {
  ReplicationFacts facts;
  facts.promoter = std::move(promoter);
  const auto max_lag = config_number(primary, "min-replicas-max-lag");
  if (max_lag) facts.min_replicas = config_number(primary, "min-replicas-to-write");
  facts.max_lag_s = max_lag.value_or(0);
  return facts;
}

std::vector<Finding> probe_replicas(
    std::vector<std::string> addresses, std::string_view info,
    const std::function<Result<RedisProbe>(const std::string& address)>& connect) {
  for (const NamedReplica& one : replicas_of(info)) addresses.push_back(one.address);
  std::vector<Finding> out;
  for (const std::string& address : addresses) out.push_back(judge(address, connect(address)));
  return out;
}

}  // namespace stayd
