// Connections in the small world: each direction a queue of pieces, each piece handed over by a
// step of its own. What is on its way when its sender ends may still arrive, or be lost.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "redis/transport.h"
#include "sim/redis_model.h"

namespace stayd::sim::model {

struct Piece {
  enum class What : std::uint8_t { open, bytes, end };
  What what = What::bytes;
  std::string bytes;
};

struct Wire {
  int instance = 0;
  int node = -1;                      // the Redis that accepted it
  TransportEvents* client = nullptr;  // nullptr: stayd has closed its end
  std::shared_ptr<Peer> peer;
  std::string outbox;  // written in this turn
  std::deque<Piece> to_redis, to_stayd;
};
using WirePtr = std::shared_ptr<Wire>;

// Dials for one instance.
class Wires final : public Dialer {
 public:
  explicit Wires(int instance) : instance_(instance) {}

  std::unique_ptr<Transport> dial(const Endpoint&, std::int64_t, TransportEvents& events) override;
  // The end of a turn: what was written leaves as one piece.
  void flush();
  // Redis takes the next piece. `redis`: who accepts a new connection, `node` its number.
  static void redis_takes(const WirePtr& wire, RedisModel& redis, int node);
  // stayd takes the next piece. Requires a client.
  static void stayd_takes(const WirePtr& wire);
  // Lost between the two. `arrives`: what was on its way to Redis still does.
  static void lose(const WirePtr& wire, RedisModel* redis, bool arrives);
  // Of connections that stayd has closed: what has no effect on `primary` any more goes at once.
  void sweep(const std::unique_ptr<RedisModel> (&nodes)[2], int primary);
  bool lead_to(int node) const;

  const std::vector<WirePtr>& all() const { return all_; }

 private:
  class WireTransport;
  static void close(Wire& wire);

  int instance_;
  std::vector<WirePtr> all_;
};

}  // namespace stayd::sim::model
