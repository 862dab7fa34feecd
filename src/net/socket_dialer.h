// Connections to Redis over real sockets: implements redis/transport.h.
//
// Of a name with several addresses each is tried, those that failed last. All connections by one
// name and port go to one address, its home: what is believed of Redis is true of one server. The
// home is left when a connection to it fails, or when the name leaves it (name_cache.h); the first
// connection that opens elsewhere ends those to the home of before, before it is used itself.
//
// Ownership: the dialer outlives its transports; what it is given outlives it. Loop thread only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/loop.h"
#include "net/name_cache.h"
#include "net/name_resolver.h"
#include "redis/transport.h"

namespace stayd {

class SocketTransport;

class SocketDialer final : public Dialer, public Ticker {
 public:
  // A connection that lasted for longer has passed the gate.
  static constexpr std::int64_t kProvenUs = 2'000'000;
  // Each address of a name has its share of the time to connect, and at least this.
  static constexpr std::int64_t kLeastShareUs = 100'000;

  SocketDialer(Loop& loop, NameResolver& resolver, EventSink& log, Counters& counters);
  ~SocketDialer() override;

  std::unique_ptr<Transport> dial(const Endpoint& endpoint, std::int64_t connect_timeout_ms,
                                  TransportEvents& events) override;
  void on_tick(Now now) override;  // names, deadlines

 private:
  friend class SocketTransport;
  struct Place {  // of one name and port
    std::optional<Address> home;
    bool home_lost = false;       // by a connection that had been proven: tried first
    std::optional<Address> last;  // that a connection was opened to
    std::vector<std::pair<Address, std::int64_t>> failed;  // when; addresses of the name
  };

  Place& place_of(const SocketTransport& transport);
  void resume(SocketTransport& transport, Now now);
  Addresses in_order(const SocketTransport& transport, Addresses addresses);
  void watch_name(SocketTransport& transport, Now now);
  // Of a transport by name, at its present address.
  void on_open(SocketTransport& transport);
  void on_failed(SocketTransport& transport, bool proven);
  void forget(SocketTransport& transport);

  Loop& loop_;
  EventSink& log_;
  Counters& counters_;
  NameCache names_;
  std::map<std::string, Place> places_;  // by "host:port"
  std::map<std::uint64_t, SocketTransport*> live_;
  std::uint64_t next_id_ = 1;
};

}  // namespace stayd
