#include "daemon/region.h"

#include <utility>

#include "core/place.h"
#include "redis/shard_set.h"

namespace stayd {

namespace {

constexpr std::string_view kTopologyFact = "cluster_topology";
constexpr std::string_view kSeedsFact = "cluster_seeds";  // that led to it

LinkOptions options_of(const RedisConfig& config, Credentials& credentials) {
  LinkOptions options;
  options.endpoint = config.target.endpoint;
  options.credentials = &credentials;
  options.client_name = "stayd-standby";
  options.tls = config.target.tls;
  options.connect_timeout_ms = config.connect_timeout.count();
  options.max_retry_ms = config.retry_max.count();
  return options;
}

}  // namespace

Region::Region(const RedisConfig& config, Parts parts, RegionEvents& events)
    : config_(config),
      parts_(parts),
      events_(events),
      logins_(parts.loop, config, parts.log, parts.counters),
      tls_(config.target.tls ? std::make_unique<TlsDialer>(parts.loop, parts.sockets, parts.log)
                             : nullptr),
      primary_(config.target.endpoint),
      standby_(options_of(config, logins_.redis()), dialer(), parts.random) {}

Region::~Region() = default;

Result<void> Region::start() {
  return tls_ ? tls_->start(config_.tls) : Result<void>();
}

void Region::watch(bool in_use) {
  in_use_ = in_use;
  if (config_.target.by_sentinel()) make_sentinels();
  if (config_.target.cluster()) make_cluster_watch();
  look_after_standby();
}

std::vector<std::string> Region::replicas() const {
  std::vector<std::string> out;
  for (const std::string& replica : config_.replicas) {
    out.push_back(parse_address(replica)->text());
  }
  return out;
}

LinkOptions Region::link_options(const char* client_name) {
  LinkOptions options = options_of(config_, logins_.redis());
  options.client_name = client_name;
  return options;
}

// Facts of a Redis that has a name stand under it.
std::string Region::fact_name(std::string_view name) const {
  return config_.name.empty() ? std::string(name)
                              : std::string(name).append(".").append(config_.name);
}

void Region::make_cluster_watch() {
  ClusterOptions options;
  options.seeds = config_.target.seeds;
  // Other seeds may be another Cluster's: its nodes say what is true then.
  const bool same_seeds = parts_.ledger.fact(fact_name(kSeedsFact)) == config_.target.text();
  const std::string known = parts_.ledger.fact(fact_name(kTopologyFact));
  if (same_seeds && !known.empty()) options.known = Topology::parse(known);
  options.link = link_options("stayd-cluster");
  ClusterEvents& self = *this;
  cluster_ = std::make_unique<ClusterWatch>(std::move(options), dialer(), self, parts_.log,
                                            parts_.counters, parts_.random);
  cluster_->start(parts_.loop.now());
}

void Region::make_sentinels() {
  SentinelOptions options;
  options.sentinels = config_.target.sentinels;
  options.primary_name = config_.target.primary_name;
  options.link = link_options("stayd-sentinel");
  options.link.credentials = &logins_.sentinels();
  SentinelEvents& self = *this;
  sentinels_ = std::make_unique<SentinelWatch>(std::move(options), dialer(), self, parts_.log,
                                               parts_.counters, parts_.random);
  sentinels_->start(parts_.loop.now());
}

const std::optional<Topology>& Region::topology() const {
  static const std::optional<Topology> kNone;
  return cluster_ ? cluster_->topology() : kNone;
}

void Region::on_primary(const Endpoint& primary) {
  primary_ = primary;
  look_after_standby();
  events_.on_primary(*this, primary);
}

void Region::on_topology(const Topology& topology) {
  parts_.ledger.put_fact(fact_name(kTopologyFact), topology.to_text());
  parts_.ledger.put_fact(fact_name(kSeedsFact), config_.target.text());
  look_after_standby();
  events_.on_topology(*this, topology);
}

void Region::doubt(bool lost) {
  if (sentinels_) sentinels_->doubt(lost);
  if (cluster_) cluster_->doubt(lost);
}

void Region::hint() {
  if (cluster_) cluster_->hint();
}

std::string Region::trouble() const {
  if (!standby_.trouble().empty() || !void_) return standby_.trouble();
  return "the ledger was started anew since it was used, and has none of the logouts of before: "
         "empty it (FLUSHALL), then `stayd switch " +
         name() + " --force`";
}

void Region::set_in_use(bool in_use) {
  in_use_ = in_use;
  in_use_ ? standby_.stop() : look_after_standby();
}

void Region::on_tick(Now now) {
  if (!in_use_) doubt(!standby_.well());
  if (sentinels_) sentinels_->on_tick(now);
  if (cluster_) cluster_->on_tick(now);
  standby_.on_tick(now);
}

// Whenever it is elsewhere, or begins not to be used.
void Region::look_after_standby() {
  if (in_use_) return;
  std::vector<Standby::Primary> primaries;
  if (!cluster_) {
    if (primary_.known()) primaries.push_back({primary_, ""});
    return standby_.set_primaries(std::move(primaries), "no Sentinel names its primary");
  }
  if (!topology()) return standby_.set_primaries({}, "no node names its shards");
  if (topology()->shards.size() > ShardSet::kMaxShards) {
    return standby_.set_primaries({}, "it has too many shards");
  }
  if (!topology()->covered().all()) return standby_.set_primaries({}, "slots belong to no node");
  for (const ClusterShard& shard : topology()->shards) {
    if (!shard.primary.known()) return standby_.set_primaries({}, "a shard has no address");
    primaries.push_back({shard.primary, std::string(ShardPlace("0", shard.slots, 1).tag())});
  }
  standby_.set_primaries(std::move(primaries), "");
}

}  // namespace stayd
