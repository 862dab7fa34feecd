// The simulated network between stayd and whom it talks to: connections with delay, refusal, loss,
// silence in one or both directions, and bytes in flight. Implements redis/transport.h. One loop;
// the World owns it; transports belong to whoever dials.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "redis/transport.h"
#include "sim/scheduler.h"
#include "sim/server.h"

namespace stayd::sim {

// One connection. Both ends hold it; each direction is a FIFO.
struct Wire {
  TransportEvents* client = nullptr;  // nullptr: the client has closed its end
  std::shared_ptr<Peer> peer;         // set once Redis has accepted
  std::string run_id;                 // of the process that did
  bool connected = false;             // and the client knows
  bool reset = false;                 // lost on the way: nothing passes any more
  std::string outbox;                 // written, leaves at the end of the turn
  bool flush_scheduled = false;
  std::vector<std::function<void()>> held_to_server, held_to_client;  // while a direction is silent
  std::int64_t last_to_server_us = 0, last_to_client_us = 0;
};

class Network final : public Dialer {
 public:
  // `deliver` runs an event inside the client's process, or drops it when the process is dead.
  using Deliver = std::function<void(std::function<void()>)>;

  // Who listens at an address; nullptr: nobody.
  using Resolve = std::function<Server*(const Endpoint&)>;

  Network(Scheduler& scheduler, Random& random, Resolve resolve, Deliver deliver);
  ~Network() override;

  std::unique_ptr<Transport> dial(const Endpoint& endpoint, std::int64_t connect_timeout_ms,
                                  TransportEvents& events) override;

  // --- faults
  std::int64_t min_delay_us = 30, max_delay_us = 150;
  void be_fast() { min_delay_us = 30, max_delay_us = 150; }
  bool silent_to_server = false, silent_to_client = false;
  bool well() const { return !silent_to_server && !silent_to_client && max_delay_us <= kMs; }
  void speak();  // ends silence: what was held passes
  bool talks_to(const Server& server) const;
  std::int64_t dialled_us(const Endpoint& endpoint) const;  // the last time; 0: never
  // False: no connection is open.
  bool lose_one(unsigned choice);   // resets one open connection
  bool halve_one(unsigned choice);  // half-open: its server's end is gone, and nobody says so
  // What one open connection sends from now on takes so much longer, whatever becomes of it here.
  bool delay_one(unsigned choice, std::int64_t lag_us);
  // Hears what a process executes of a connection that its client has given up and another process
  // had accepted: a proxy has moved on in between.
  std::function<void(std::string_view bytes)> on_stray = [](std::string_view) {};

 private:
  class SimTransport;
  using WirePtr = std::shared_ptr<Wire>;

  WirePtr pick(unsigned choice) const;
  std::int64_t delay();
  void to_server(const WirePtr& wire, std::function<void()> action);
  void to_client(const WirePtr& wire, std::function<void()> action);
  void connect(const WirePtr& wire, const Endpoint& endpoint);
  void flush(const WirePtr& wire);
  static void drop_held(Wire& wire);
  void close_client(const WirePtr& wire);
  void end_client(const WirePtr& wire, CloseReason reason, std::string detail);

  Scheduler& scheduler_;
  Random& random_;
  Resolve resolve_;
  Deliver deliver_;
  std::vector<WirePtr> wires_;
  std::map<std::string, std::int64_t> dialled_us_;  // by their texts
};

}  // namespace stayd::sim
