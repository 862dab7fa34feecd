#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <ostream>

#include "base/info.h"
#include "base/real_time.h"
#include "daemon/advice.h"
#include "daemon/at_rest_keys.h"
#include "daemon/backup_check.h"
#include "daemon/blocking_client.h"
#include "daemon/commands.h"
#include "daemon/password_command.h"
#include "daemon/permissions.h"
#include "daemon/replica_probe.h"
#include "redis/cluster_map.h"
#include "redis/sentinel.h"

namespace stayd {

namespace {

using Level = Finding::Level;

constexpr std::int64_t kProbeTimeoutMs = 3'000;

std::int64_t wall_ms() {
  return real_now().wall_ms;
}

// The text of a reply; an error reply or a lost connection as an error.
Result<std::string> ask(RedisProbe& probe, const std::vector<std::string_view>& arguments) {
  auto frame = probe.call(arguments);
  if (!frame) return frame.error();
  const ReplyView reply(*frame);
  if (reply.is_error()) {
    return make_error(Errc::unavailable, fmt::format("{}: {}", arguments[0], reply.text()));
  }
  return std::string(reply.text());
}

struct Credentials {
  std::string_view user, password;
};

Result<void> log_in(RedisProbe& probe, const Credentials& as) {
  if (as.password.empty()) return {};
  std::vector<std::string_view> arguments = {"AUTH"};
  if (!as.user.empty()) arguments.push_back(as.user);
  arguments.push_back(as.password);
  const auto reply = ask(probe, arguments);
  if (!reply) return reply.error();
  return {};
}

// Redis' clock minus ours; half of the round trip is taken off.
Result<std::int64_t> clock_offset(RedisProbe& probe) {
  const std::int64_t before = wall_ms();
  const auto frame = probe.call({"TIME"});
  if (!frame) return frame.error();
  const std::int64_t after = wall_ms();
  auto elements = ReplyView(*frame).elements();
  ReplyView seconds, micros;
  if (!elements.next(seconds) || !elements.next(micros)) {
    return make_error(Errc::unavailable, "TIME gives no time");
  }
  const std::int64_t theirs = parse_integer(seconds.text()).value_or(0) * 1'000 +
                              parse_integer(micros.text()).value_or(0) / 1'000;
  return theirs - (before + after) / 2;
}

// To Redis or a Sentinel, over TLS if the URL says so.
Result<BlockingSocket> connect_to(const Endpoint& endpoint, const Config& config) {
  auto socket = BlockingSocket::connect(endpoint, kProbeTimeoutMs);
  if (!socket || !config.redis.target.tls) return socket;
  const auto context = TlsContext::load(TlsRole::client, config.redis.tls);
  if (!context) return context.error();
  if (const auto secured = socket->secure(**context, endpoint.host); !secured) {
    return secured.error();
  }
  return socket;
}

std::vector<Finding> check_replicas(RedisProbe& primary, const std::string& info,
                                    const RedisTarget& target, const Config& config) {
  const auto promoter = target.cluster()       ? "the Cluster"
                        : target.by_sentinel() ? "the Sentinels"
                                               : "";
  auto findings = judge_replicas(info, replication_facts(primary, promoter));
  if (!config.redis.replica_reads || target.cluster()) return findings;
  const auto connect = [&](const std::string& address) -> Result<RedisProbe> {
    auto socket = connect_to(parse_address(address).value_or(Endpoint{}), config);
    if (!socket) return socket.error();
    RedisProbe probe(std::move(*socket));
    if (const auto in = log_in(probe, {target.user, target.password}); !in) return in.error();
    return probe;
  };
  for (Finding& one : probe_replicas(config.redis.replicas, info, connect)) {
    findings.push_back(std::move(one));
  }
  return findings;
}

// On a connection of its own.
Result<std::vector<Finding>> probe_permissions(const RedisTarget& target, const Config& config) {
  auto socket = connect_to(target.endpoint, config);
  if (!socket) return socket.error();
  RedisProbe probe(std::move(*socket));
  if (const auto in = log_in(probe, {target.user, target.password}); !in) return in.error();
  std::vector<std::string> patterns;
  for (const SessionPolicy& policy : config.sessions) patterns.push_back(policy.match);
  if (patterns.empty()) patterns.emplace_back("*");
  if (target.cluster()) patterns.push_back("stayd:{*");  // with a hash tag for each slot
  const bool wait = config.redis.logout_wait.count() != 0;
  return judge_permissions(probe, target.user, patterns, LogoutsWait(wait));
}

// Everything asked of Redis, or why it could not be.
Result<std::vector<Finding>> probe_redis(const RedisTarget& target, const Config& config) {
  auto permissions = probe_permissions(target, config);
  if (!permissions) return permissions;
  auto socket = connect_to(target.endpoint, config);
  if (!socket) return socket.error();
  const auto certificate_ends_s = socket->certificate_ends_s();
  RedisProbe probe(std::move(*socket));
  if (const auto in = log_in(probe, {target.user, target.password}); !in) return in.error();
  const auto info = ask(probe, {"INFO"});
  const auto offset = clock_offset(probe);
  if ((!info || !offset) && has_problem(*permissions)) return permissions;
  if (!info) return info.error();
  if (!offset) return offset.error();
  auto findings = judge_redis(*info, *offset);
  if (info_field(*info, "role") == "master") {
    const auto replicas = check_replicas(probe, *info, target, config);
    findings.insert(findings.end(), replicas.begin(), replicas.end());
  }
  findings.insert(findings.end(), permissions->begin(), permissions->end());
  if (target.tls) {
    const auto left_days = (certificate_ends_s - wall_ms() / 1'000) / 86'400;
    findings.push_back({left_days > 30 ? Level::good : Level::advice, "tls",
                        fmt::format("the certificate of Redis expires in {} days", left_days)});
    if (!config.redis.tls.verify) {
      findings.push_back(
          {Level::advice, "tls", "tls_verify = false: whoever answers is given the password"});
    }
  }
  return findings;
}

// Whom one Sentinel names.
Result<PrimaryElection::Answer> ask_sentinel(const Endpoint& sentinel, const Config& config) {
  auto socket = connect_to(sentinel, config);
  if (!socket) return socket.error();
  RedisProbe probe(std::move(*socket));
  const RedisConfig& redis = config.redis;
  if (const auto in = log_in(probe, {redis.sentinel_user, redis.sentinel_password}); !in) {
    return in.error();
  }
  const std::string& name = config.redis.target.primary_name;
  const auto master = probe.call({"SENTINEL", "MASTER", name});
  if (!master) return master.error();
  if (const ReplyView reply(*master); reply.is_error()) {
    return make_error(Errc::unavailable, fmt::format("SENTINEL MASTER {}: {}", name, reply.text()));
  }
  const auto address = probe.call({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", name});
  if (!address) return address.error();
  const auto epoch = sentinel_epoch(ReplyView(*master));
  const auto primary = sentinel_address(ReplyView(*address));
  if (!epoch || !primary) return make_error(Errc::unavailable, "this is no Sentinel's answer");
  return PrimaryElection::Answer{*primary, *epoch};
}

// Asks every Sentinel of the URL; the target's endpoint is the primary then, if one is named.
RedisTarget find_primary(const Config& config, std::vector<Finding>& findings) {
  RedisTarget target = config.redis.target;
  PrimaryElection election;
  for (const Endpoint& sentinel : target.sentinels) {
    const auto answer = ask_sentinel(sentinel, config);
    if (!answer) {
      findings.push_back({Level::problem, "sentinel",
                          fmt::format("{}: {}", sentinel.text(), answer.error().message)});
      continue;
    }
    findings.push_back({Level::good, "sentinel",
                        fmt::format("{} names {}, epoch {}", sentinel.text(),
                                    answer->primary.text(), answer->epoch)});
    if (const auto index = election.learn(sentinel, "", std::nullopt))
      election.on_answer(*index, *answer, 0);
  }
  election.elect(PrimaryElection::kPatienceUs);
  if (const auto& followed = election.followed()) target.endpoint = followed->primary;
  return target;
}

// What one node of a Cluster says of all.
Result<ClusterMap::Answer> ask_node(const Endpoint& node, const RedisTarget& as,
                                    const Config& config) {
  auto socket = connect_to(node, config);
  if (!socket) return socket.error();
  RedisProbe probe(std::move(*socket));
  if (const auto in = log_in(probe, {as.user, as.password}); !in) return in.error();
  const auto info = ask(probe, {"CLUSTER", "INFO"});
  if (!info) return info.error();
  const auto nodes = ask(probe, {"CLUSTER", "NODES"});
  if (!nodes) return nodes.error();
  const auto names = as.tls ? NodeNames::hostnames : NodeNames::addresses;
  auto view = parse_cluster_nodes(*nodes, node, names);
  if (!view) return make_error(Errc::unavailable, "its CLUSTER NODES is not what Redis answers");
  if (std::ranges::all_of(view->nodes, [](const auto& one) { return one.slots.empty(); })) {
    return make_error(Errc::unavailable, "it knows of no slots: is it part of a Cluster yet?");
  }
  return ClusterMap::Answer{std::move(*view), info_field(*info, "cluster_state") == "ok"};
}

// Asks every seed of the URL; nullopt: none of them names a topology.
std::optional<Topology> find_shards(const Config& config, const RedisTarget& as,
                                    std::vector<Finding>& findings) {
  ClusterMap map;
  for (const Endpoint& seed : as.seeds) {
    map.add_seed(seed);
    auto answer = ask_node(seed, as, config);
    if (!answer) {
      const std::string& why = answer.error().message;  // of a connect: begins with the address
      findings.push_back(
          {Level::problem, "cluster",
           why.starts_with(seed.text()) ? why : fmt::format("{}: {}", seed.text(), why)});
      continue;
    }
    findings.push_back({answer->state_ok ? Level::good : Level::problem, "cluster",
                        fmt::format("{} knows {} nodes, cluster_state:{}", seed.text(),
                                    answer->view.nodes.size(), answer->state_ok ? "ok" : "fail")});
    map.on_answer(seed, std::move(*answer), 0);
  }
  map.elect(ClusterMap::kPatienceUs);
  if (!map.followed()) return std::nullopt;
  if (const auto uncovered = map.uncovered(); uncovered.any()) {
    findings.push_back({Level::problem, "cluster",
                        fmt::format("no node has the slots {}", slot_ranges_text(uncovered))});
  }
  return map.followed();
}

void check_redis(const RedisTarget& target, const Config& config, std::string_view what,
                 std::vector<Finding>& findings) {
  const auto redis = probe_redis(target, config);
  if (!redis) {
    findings.push_back({Level::problem, "redis",
                        fmt::format("{} ({}); {} would be answered from the ledger alone",
                                    redis.error().message, target.endpoint.text(), what)});
    return;
  }
  findings.push_back({Level::good, "redis", fmt::format("{} answers", target.endpoint.text())});
  for (Finding one : *redis) {
    if (target.cluster() && one.subject == "mode")
      continue;  // a node of a Cluster, as it should be
    if (target.cluster()) one.text = fmt::format("{}: {}", target.endpoint.text(), one.text);
    findings.push_back(std::move(one));
  }
}

void check_cluster(RedisTarget target, const Config& config, std::vector<Finding>& findings) {
  const auto topology = find_shards(config, target, findings);
  if (!topology) {
    findings.push_back({Level::problem, "cluster",
                        fmt::format("no node names the shards of {}; sessions would be answered "
                                    "from the ledger alone",
                                    target.text())});
    return;
  }
  for (const ClusterShard& shard : topology->shards) {
    target.endpoint = shard.primary;
    check_redis(target, config, "sessions of slots " + slot_ranges_text(shard.slots), findings);
  }
}

// Of redis.password_command or redis.iam_cache, if there is one.
bool find_password(const Config& config, std::string& password, std::vector<Finding>& findings) {
  if (!config.redis.iam.cache.empty()) {
    const auto keys = find_aws_keys(config.redis.aws);
    if (!keys) {
      findings.push_back(
          {Level::problem, "password", "[redis] iam_cache: " + keys.error().message});
      return false;
    }
    IamUser user = config.redis.iam;
    user.user = config.redis.target.user;
    password = iam_token(user, *keys, wall_ms());
    findings.push_back(
        {Level::good, "password", fmt::format("a token, signed with the key {}", keys->id)});
    return true;
  }
  if (config.redis.password_command.empty()) return true;
  auto printed = run_password_command(config.redis.password_command);
  if (!printed) {
    findings.push_back({Level::problem, "password",
                        fmt::format("[redis] password_command: {}", printed.error().message)});
    return false;
  }
  findings.push_back({Level::good, "password", "the command printed one"});
  password = std::move(*printed);
  return true;
}

bool target_is_known(const RedisTarget& target) {
  return target.cluster() || target.endpoint.known();
}

// Of what `config.redis` names.
void check_one(const Config& config, std::vector<Finding>& findings) {
  RedisTarget target = find_primary(config, findings);
  if (!find_password(config, target.password, findings) || !target_is_known(target)) {
    findings.push_back(
        {Level::problem, "redis",
         fmt::format("{} ({}); sessions would be answered from the ledger alone",
                     target_is_known(target) ? "no password" : "no Sentinel names a primary",
                     target.endpoint.known() ? target.endpoint.text() : target.text())});
  } else if (target.cluster()) {
    check_cluster(std::move(target), config, findings);
  } else {
    check_redis(target, config, "sessions", findings);
  }
}

DiskFacts look_at_disk(const std::string& path) {
  namespace fs = std::filesystem;
  DiskFacts disk;
  disk.path = path;
  std::error_code error;
  disk.exists = fs::exists(path, error);
  // A folder that is not there yet is made in the nearest one that is.
  fs::path place = fs::absolute(path, error);
  while (!fs::exists(place, error) && place.has_relative_path()) place = place.parent_path();
  disk.writable = fs::is_directory(place, error) && ::access(place.c_str(), W_OK | X_OK) == 0;
  struct statvfs space{};
  if (::statvfs(place.c_str(), &space) == 0) {
    disk.free_bytes = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
    disk.total_bytes = static_cast<std::uint64_t>(space.f_blocks) * space.f_frsize;
  }
  return disk;
}

}  // namespace

int run_check(const LoadedConfig& loaded, Terminal terminal) {
  const Config& config = loaded.config;
  std::vector<Finding> findings;
  findings.push_back(
      {Level::good, "config",
       loaded.file.empty() ? "no file: defaults, environment and flags" : loaded.file});
  for (const std::string& warning : loaded.warnings) {
    findings.push_back({Level::advice, "config", warning});
  }
  if (config.sessions.empty()) {
    findings.push_back(
        {Level::advice, "sessions",
         "no [[sessions]]: every key is treated as a session; name a preset if other "
         "data lives in this Redis"});
  } else {
    findings.push_back(
        {Level::good, "sessions", fmt::format("{} key patterns", config.sessions.size())});
  }
  check_one(config, findings);
  for (const RedisConfig& standby : config.standby) {
    Config other = config;
    other.redis = standby;
    std::vector<Finding> of_other;
    check_one(other, of_other);
    for (Finding& one : of_other) {
      one.text = fmt::format("{}: {}", standby.name, one.text);
      findings.push_back(std::move(one));
    }
  }
  for (Finding& one : check_backup(config)) findings.push_back(std::move(one));
  const auto disk = judge_disk(look_at_disk(config.ledger.path));
  findings.insert(findings.end(), disk.begin(), disk.end());
  if (const auto keys = check_at_rest(config)) findings.push_back(*keys);
  terminal.out << render_findings(findings);
  return has_problem(findings) ? 1 : 0;
}

}  // namespace stayd
