// Server: what stands between the Redis port and Redis.
#include <utility>

#include "daemon/server.h"

namespace stayd {

namespace {

constexpr std::string_view kTopologyFact = "cluster_topology";
constexpr std::string_view kSeedsFact = "cluster_seeds";  // that led to it

EngineOptions engine_options(const Config& config) {
  EngineOptions options;
  options.address = config.redis_target.text();
  options.command_deadline_ms = config.redis.command_deadline.count();
  options.command_deadline_max_ms = config.redis.command_deadline_max.count();
  options.slow_deadline_ms = config.redis.slow_deadline.count();
  options.heartbeat_interval_ms = config.redis.heartbeat_interval.count();
  options.heartbeat_deadline_ms = config.redis.heartbeat_deadline.count();
  options.logout_wait_ms = config.redis.logout_wait.count();
  options.logout_wait_replicas = config.redis.logout_wait_replicas;
  options.replica_reads = config.redis.replica_reads;
  for (const std::string& replica : config.redis.replicas) {
    options.replicas.push_back(parse_address(replica)->text());
  }
  options.max_island_ms = config.max_island.count();
  options.near_cache_bytes = config.near_cache_size.bytes;
  options.observe = config.mode == "observe";
  options.strict_logout = config.strict_logout;
  options.blind_accept = config.blind_accept;
  return options;
}

}  // namespace

LinkOptions Server::link_options(const char* name) const {
  LinkOptions options;
  options.endpoint = config_.redis_target.endpoint;
  options.credentials = &logins_->redis();
  options.client_name = name;
  options.tls = config_.redis_target.tls;
  options.connect_timeout_ms = config_.redis.connect_timeout.count();
  options.max_retry_ms = config_.redis.retry_max.count();
  return options;
}

Result<void> Server::make_dialer() {
  dialer_ = std::make_unique<AsioDialer>(loop_);
  if (!config_.redis_target.tls) return {};
  tls_ = std::make_unique<TlsDialer>(loop_, *dialer_, log_);
  return tls_->start(config_.redis.tls);
}

void Server::make_shards() {
  logins_ = std::make_unique<RedisLogins>(loop_, config_, log_, counters_);
  ShardSetOptions options{.stack = {engine_options(config_), link_options("stayd"),
                                    config_.redis.login_probe_interval.count()},
                          .cluster = config_.redis_target.cluster()};
  shards_ = std::make_unique<ShardSet>(std::move(options), config_.sessions, *ledger_,
                                       redis_dialer(), counters_, log_, random_);
  gate_ = std::make_unique<EngineGate>(loop_, *shards_);
  // Only a client that subscribes makes this connection.
  relay_ = std::make_unique<PubSubRelay>(port_.hub, log_, [this] { pubsub_->start(loop_.now()); });
  pubsub_ = std::make_unique<Link>(link_options("stayd-pubsub"), redis_dialer(), *relay_, counters_,
                                   random_);
  relay_->attach(*pubsub_);
  port_.hub.set_upstream(relay_.get());
  // Every event of a turn sees this turn's time, and what it changes reaches the ledger at its end.
  loop_.on_turn_start([this](Now now) {
    port_.now = now;
    shards_->set_now(now);
    loop_.request_turn_end(*gate_);
  });
  shards_->set_hint([this] { cluster_->hint(); });
  shards_->start(loop_.now());
  if (config_.redis_target.by_sentinel()) make_sentinels();
  if (config_.redis_target.cluster()) make_cluster_watch();
}

void Server::make_cluster_watch() {
  ClusterOptions options;
  options.seeds = config_.redis_target.seeds;
  // Other seeds may be another Cluster's: its nodes say what is true then.
  const bool same_seeds = ledger_->fact(kSeedsFact) == config_.redis_target.text();
  const std::string known = ledger_->fact(kTopologyFact);
  if (same_seeds && !known.empty()) options.known = Topology::parse(known);
  options.link = link_options("stayd-cluster");
  ClusterEvents& self = *this;
  cluster_ = std::make_unique<ClusterWatch>(std::move(options), redis_dialer(), self, log_,
                                            counters_, random_);
  cluster_->start(loop_.now());
  // A life that ended while it was followed: the watch tells only of what is newer.
  if (cluster_->topology()) shards_->on_topology(*cluster_->topology());
}

void Server::on_topology(const Topology& topology) {
  ledger_->put_fact(std::string(kTopologyFact), topology.to_text());
  ledger_->put_fact(std::string(kSeedsFact), config_.redis_target.text());
  shards_->on_topology(topology);
}

void Server::make_sentinels() {
  SentinelOptions options;
  options.sentinels = config_.redis_target.sentinels;
  options.primary_name = config_.redis_target.primary_name;
  options.link = link_options("stayd-sentinel");
  options.link.credentials = &logins_->sentinels();
  SentinelEvents& self = *this;
  sentinels_ = std::make_unique<SentinelWatch>(std::move(options), redis_dialer(), self, log_,
                                               counters_, random_);
  sentinels_->start(loop_.now());
}

void Server::on_primary(const Endpoint& primary) {
  constexpr std::string_view kCause = "the Sentinels name another primary";
  shards_->move_to(primary, kCause);
  pubsub_->move_to(primary, kCause);
}

}  // namespace stayd
