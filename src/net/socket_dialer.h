// Connections to Redis over real sockets: implements redis/transport.h, with names by
// redis/name_dialer.h.
//
// Ownership: the dialer outlives its transports; what it is given outlives it. Loop thread only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "net/loop.h"
#include "redis/name_dialer.h"
#include "redis/transport.h"

namespace stayd {

class SocketTransport;

class SocketDialer final : public Dialer, public Ticker, private AddressDialer, private TurnEnd {
 public:
  SocketDialer(Loop& loop, NameResolver& resolver, EventSink& log, Counters& counters);
  ~SocketDialer() override;

  std::unique_ptr<Transport> dial(const Endpoint& endpoint, std::int64_t connect_timeout_ms,
                                  TransportEvents& events) override;
  void on_tick(Now now) override;  // names, deadlines

 private:
  friend class SocketTransport;

  std::unique_ptr<Transport> dial_address(const Address& address, std::int64_t connect_timeout_ms,
                                          TransportEvents& events) override;
  std::unique_ptr<SocketTransport> make(std::int64_t connect_timeout_ms, TransportEvents& events);
  void on_turn_end(Now now) override;
  void forget(SocketTransport& transport);

  Loop& loop_;
  NameDialer names_;
  std::map<std::uint64_t, SocketTransport*> live_;
  std::uint64_t next_id_ = 1;
  bool ticked_ = false;  // the names' tick is due at the turn's end
};

}  // namespace stayd
