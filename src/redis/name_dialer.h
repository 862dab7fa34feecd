// Connections by name, on a dialer of addresses.
//
//   dial(name) ─▶ NameCache: addresses ─▶ each is tried, those that failed last ─▶ open
//                     └─ the name is watched; it has left the address: closed (moved)
//
// All connections by one name and port go to one address, its home: what is believed of Redis is
// true of one server. The home is left when a connection to it fails, or when the name leaves it
// (name_cache.h); the first connection that opens elsewhere ends those to the home of before,
// before it is used itself.
//
// Sans-I/O. The dialer outlives its transports; what it is given outlives it. Loop thread only.
// Source: docs/adr/0013-names-that-move.md.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/rules.h"
#include "redis/name_cache.h"
#include "redis/transport.h"

namespace stayd {

class AddressDialer {
 public:
  virtual ~AddressDialer() = default;
  // As Dialer::dial().
  virtual std::unique_ptr<Transport> dial_address(const Address& address,
                                                  std::int64_t connect_timeout_ms,
                                                  TransportEvents& events) = 0;
};

class NameTransport;

class NameDialer final : public Dialer {
 public:
  // A connection that lasted for longer has passed the gate.
  static constexpr std::int64_t kProvenUs = 2'000'000;
  // Each address of a name has its share of the time to connect, and at least this.
  static constexpr std::int64_t kLeastShareUs = 100'000;

  // `due`: tell_ends() is to be called, at the end of this turn.
  NameDialer(AddressDialer& below, NameResolver& resolver, std::function<void()> due,
             EventSink& log, Counters& counters, const Rules& rules = {});
  ~NameDialer() override;

  // The time of what follows; before the first dial().
  void set_now(Now now) { now_ = now; }
  std::unique_ptr<Transport> dial(const Endpoint& endpoint, std::int64_t connect_timeout_ms,
                                  TransportEvents& events) override;
  // Names, deadlines. No event comes during this call.
  void on_tick(Now now);
  // Of connections that have ended here.
  void tell_ends();

 private:
  friend class NameTransport;
  struct Place {  // of one name and port
    std::optional<Address> home;
    bool home_lost = false;       // by a connection that had been proven: tried first
    std::optional<Address> last;  // that a connection was opened to
    std::vector<std::pair<Address, std::int64_t>> failed;  // when; addresses of the name
  };

  Place& place_of(const NameTransport& transport);
  void resume(NameTransport& transport);
  Addresses in_order(const NameTransport& transport, Addresses addresses);
  void watch_name(NameTransport& transport);
  // Of a transport at its present address. False: it has ended by that.
  bool on_open(NameTransport& transport);
  void on_failed(NameTransport& transport, bool proven);

  AddressDialer& below_;
  std::function<void()> due_;
  EventSink& log_;
  Counters& counters_;
  const Rules rules_;  // other ones: tests only
  NameCache names_;
  Now now_;
  std::map<std::string, Place> places_;  // by "host:port"
  std::map<std::uint64_t, NameTransport*> live_;
  std::uint64_t next_id_ = 1;
};

}  // namespace stayd
