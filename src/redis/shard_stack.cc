#include "redis/shard_stack.h"

#include <utility>

namespace stayd {

namespace {

LinkOptions called(LinkOptions options, const char* name) {
  options.client_name = name;
  return options;
}

}  // namespace

ShardStack::ShardStack(StackOptions options, PolicyTable policies, Store& store, Dialer& dialer,
                       Counters& counters, EventSink& events, Random& random, HlcClock* clock)
    : engine_(std::move(options.engine), std::move(policies), store, counters, events, random,
              clock),
      data_(called(options.link, "stayd-data"), dialer, engine_.data_events(), counters, random),
      aux_(called(options.link, "stayd-aux"), dialer, engine_.aux_events(), counters, random),
      pinned_(called(options.link, "stayd-client"), dialer, counters, random),
      probe_(called(options.link, "stayd-probe"), options.login_probe_interval_ms, dialer, events,
             counters, random),
      replica_(called(options.link, "stayd-replica"), dialer, engine_.replica_events(), random) {
  engine_.attach(data_, aux_, &pinned_, &replica_);
}

void ShardStack::start(Now now) {
  engine_.start(now);
  data_.start(now);
  aux_.start(now);
}

void ShardStack::on_tick(Now now) {
  data_.on_tick(now);
  aux_.on_tick(now);
  pinned_.on_tick(now);
  probe_.on_tick(now, data_.up());
  replica_.on_tick(now);
  engine_.on_tick(now);
}

void ShardStack::log_in_with(Credentials* credentials, bool tls) {
  data_.log_in_with(credentials, tls);
  aux_.log_in_with(credentials, tls);
  pinned_.log_in_with(credentials, tls);
  probe_.log_in_with(credentials, tls);
  replica_.log_in_with(credentials, tls);
}

// The connection that decides what is believed goes first: nothing new is sent to the one of
// before.
void ShardStack::move_to(const Endpoint& endpoint, std::string_view cause) {
  if (endpoint.known()) engine_.set_address(endpoint.text());
  data_.move_to(endpoint, cause);
  aux_.move_to(endpoint, cause);
  pinned_.move_to(endpoint, cause);
  if (endpoint.known()) probe_.move_to(endpoint);
}

}  // namespace stayd
