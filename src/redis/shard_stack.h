// One shard: its engine, and the connections that the engine works on.
//
//   Engine ─┬▶ Link (data)   session commands, heartbeats, repairs
//           ├▶ Link (aux)    commands that may take long
//           ├▶ PinnedPool    connections of single clients
//           └▶ ReplicaLink   reads, while the primary is out
//   LoginProbe               would another connection be let in?
//
// Sans-I/O on a Dialer; loop thread only. Owns all of them; what it is given outlives it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/engine.h"
#include "redis/link.h"
#include "redis/login_probe.h"
#include "redis/pinned_pool.h"
#include "redis/replica_link.h"

namespace stayd {

struct StackOptions {
  EngineOptions engine;
  LinkOptions link;  // its client_name is set for each connection
  std::int64_t login_probe_interval_ms = 0;
};

class ShardStack {
 public:
  // `clock`: see Engine.
  ShardStack(StackOptions options, PolicyTable policies, Store& store, Dialer& dialer,
             Counters& counters, EventSink& events, Random& random, HlcClock* clock = nullptr);

  void start(Now now);
  void on_tick(Now now);
  // Another Redis, with logins of its own: move_to() is about to follow.
  void log_in_with(Credentials* credentials, bool tls);
  // Redis is at another address: what is under way to the one of before is lost, later connections
  // go there. An address that is not known(): nothing is dialled.
  void move_to(const Endpoint& endpoint, std::string_view cause);
  // Dials at once, however long the wait would have been.
  void hurry() {
    data_.hurry();
    aux_.hurry();
  }

  Engine& engine() { return engine_; }
  const Engine& engine() const { return engine_; }
  const Endpoint& endpoint() const { return data_.endpoint(); }
  bool up() const { return data_.up(); }
  LoginProbeStatus login_probe() const { return probe_.status(); }

 private:
  Engine engine_;
  Link data_;
  Link aux_;
  PinnedPool pinned_;
  LoginProbe probe_;
  ReplicaLink replica_;
};

}  // namespace stayd
