// Server: what stands between the Redis port and Redis.
#include <utility>

#include "daemon/server.h"

namespace stayd {

namespace {

EngineOptions engine_options(const Config& config, const RedisTarget& target,
                             const std::string& region) {
  EngineOptions options;
  options.address = target.text();
  options.region = config.standby.empty() ? "" : region;
  options.command_deadline_ms = config.redis.command_deadline.count();
  options.command_deadline_max_ms = config.redis.command_deadline_max.count();
  options.slow_deadline_ms = config.redis.slow_deadline.count();
  options.heartbeat_interval_ms = config.redis.heartbeat_interval.count();
  options.heartbeats_follow_writes = config.redis.hidden_servers;
  options.heartbeat_deadline_ms = config.redis.heartbeat_deadline.count();
  options.logout_wait_ms = config.redis.logout_wait.count();
  options.logout_wait_replicas = config.redis.logout_wait_replicas;
  options.replica_reads = config.redis.replica_reads;
  options.max_island_ms = config.max_island.count();
  options.near_cache_bytes = config.near_cache_size.bytes;
  options.observe = config.mode == "observe";
  options.strict_logout = config.strict_logout;
  options.blind_accept = config.blind_accept;
  return options;
}

// "NAME" and "NAME&force" of "/switch?NAME&force".
std::pair<std::string_view, bool> region_of(std::string_view query) {
  const std::size_t end = query.find('&');
  const bool force = end != std::string_view::npos && query.substr(end + 1) == "force";
  return {query.substr(0, end), force};
}

}  // namespace

Result<void> Server::make_regions() {
  resolver_ = std::make_unique<SystemResolver>(loop_);
  dialer_ = std::make_unique<SocketDialer>(loop_, *resolver_, log_, counters_);
  regions_ = std::make_unique<Regions>(
      config_, Region::Parts{loop_, *dialer_, *ledger_, log_, counters_, random_});
  return regions_->start();
}

void Server::make_shards() {
  Region& region = regions_->in_use();
  ShardSetOptions options{
      .stack = {engine_options(config_, region.target(), region.name()),
                region.link_options("stayd"), config_.redis.login_probe_interval.count()},
      .cluster = region.target().cluster(),
      .fleet = backup_ ? &backup_->store() : nullptr,
      .clock = backup_ ? &backup_->clock() : nullptr};
  options.stack.engine.replicas = region.replicas();
  Store& store = backup_ ? static_cast<Store&>(backup_->store()) : *ledger_;
  shards_ = std::make_unique<ShardSet>(std::move(options), config_.sessions, store,
                                       regions_->dialer(), counters_, log_, random_);
  gate_ = std::make_unique<EngineGate>(loop_, *shards_);
  // Only a client that subscribes makes this connection.
  relay_ = std::make_unique<PubSubRelay>(port_.hub, log_, [this] { pubsub_->start(loop_.now()); });
  pubsub_ = std::make_unique<Link>(region.link_options("stayd-pubsub"), regions_->dialer(), *relay_,
                                   counters_, random_);
  relay_->attach(*pubsub_);
  port_.hub.set_upstream(relay_.get());
  // Every event of a turn sees this turn's time, and what it changes reaches the ledger at its end.
  loop_.on_turn_start([this](Now now) {
    port_.now = now;
    shards_->set_now(now);
    if (backup_) backup_->set_now(now);
    loop_.request_turn_end(*gate_);
  });
  shards_->start(loop_.now());
  if (backup_) backup_->start(loop_.now());
  regions_->attach(*shards_, *gate_, *pubsub_);
}

// --- POST: what changes the running server

// From this host only, and not by a page that a browser shows: such pages cannot set headers.
HttpResponse Server::obey(const HttpRequest& request) {
  HttpResponse response;
  if (!request.from_this_host || request.header("Stayd-Command").empty()) {
    response.status = 403;
    response.body = "only `stayd`, on this host\n";
    return response;
  }
  return request.path == "/backfill" ? start_backfill() : change_region(request);
}

HttpResponse Server::start_backfill() {
  HttpResponse response;
  if (!shards_->status().adoption_complete) {
    response.body = "under way\n";
    return response;
  }
  shards_->restart_adoption();
  log_.info("backfill_started", "every key of Redis is looked at once more");
  response.body = "started\n";
  return response;
}

HttpResponse Server::change_region(const HttpRequest& request) {
  const auto [name, force] = region_of(request.query);
  Result<std::string> done = make_error(Errc::invalid, "");
  if (request.path == "/switch") {
    done = name.empty() ? regions_->prefer_order() : regions_->switch_to(name, force);
  } else {
    done = regions_->drain(name, request.path == "/drain");
  }
  HttpResponse response;
  response.status = done ? 200 : 409;
  response.body = (done ? *done : done.error().message) + "\n";
  return response;
}

}  // namespace stayd
