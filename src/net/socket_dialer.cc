#include "net/socket_dialer.h"

#include <sys/un.h>

#include <algorithm>
#include <cstring>

#include "net/socket_transport.h"

namespace stayd {

namespace {

constexpr std::size_t kMaxPlaces = 2 * NameCache::kMaxNames;  // beyond, they are learnt anew

Address unix_address(const std::string& path) {
  Address address;
  auto* target = reinterpret_cast<sockaddr_un*>(&address.storage);
  if (path.size() >= sizeof target->sun_path) return address;
  target->sun_family = AF_UNIX;
  std::memcpy(target->sun_path, path.c_str(), path.size() + 1);
  address.size = sizeof *target;
  return address;
}

}  // namespace

SocketDialer::SocketDialer(Loop& loop, NameResolver& resolver, EventSink& log, Counters& counters)
    : loop_(loop), log_(log), counters_(counters), names_(resolver, log, counters) {
  loop_.add_ticker(*this);
}

SocketDialer::~SocketDialer() {
  loop_.remove_ticker(*this);
}

void SocketDialer::forget(SocketTransport& transport) {
  live_.erase(transport.id_);
}

std::unique_ptr<Transport> SocketDialer::dial(const Endpoint& endpoint,
                                              std::int64_t connect_timeout_ms,
                                              TransportEvents& events) {
  const std::uint64_t id = next_id_++;
  auto transport = std::make_unique<SocketTransport>(
      *this, id, events, loop_.now().mono_us + connect_timeout_ms * 1000);
  live_.emplace(id, transport.get());
  if (!endpoint.unix_path.empty()) {
    const Address address = unix_address(endpoint.unix_path);
    if (address.size == 0) {
      transport->fail(CloseReason::other, "the socket's path is too long");
    } else {
      transport->connect({address});
    }
  } else if (const Address address = Address::numeric(endpoint.host); address.size != 0) {
    transport->connect({address.with_port(endpoint.port)});
  } else {
    transport->host_ = endpoint.host;
    transport->port_ = endpoint.port;
    resume(*transport, loop_.now());
  }
  return transport;
}

SocketDialer::Place& SocketDialer::place_of(const SocketTransport& transport) {
  if (places_.size() >= kMaxPlaces) places_.clear();
  return places_[transport.host_ + ":" + std::to_string(transport.port_)];
}

void SocketDialer::resume(SocketTransport& transport, Now now) {
  const auto found = names_.look(transport.host_, transport.dialled_us_, now);
  switch (found.state) {
    case NameCache::Found::State::waiting:
      return;
    case NameCache::Found::State::failed:
      return transport.fail(CloseReason::resolve,
                            "the name does not resolve: " + std::string(found.error));
    case NameCache::Found::State::found:
      return transport.connect(in_order(transport, *found.addresses));
  }
}

// As they are tried.
Addresses SocketDialer::in_order(const SocketTransport& transport, Addresses addresses) {
  Place& place = place_of(transport);
  const auto among = [&](const Address& one) {
    return std::ranges::any_of(addresses, [&](const Address& a) { return a.same_host(one); });
  };
  std::erase_if(place.failed, [&](const auto& entry) { return !among(entry.first); });
  const auto failed_us = [&](const Address& one) {
    const auto it = std::ranges::find_if(
        place.failed, [&](const auto& entry) { return entry.first.same_host(one); });
    return it == place.failed.end() ? std::int64_t{0} : it->second;
  };
  std::multimap<std::int64_t, Address> order;  // of equals the one that was answered first
  for (const Address& address : addresses) order.emplace(failed_us(address), address);
  addresses.clear();
  for (const auto& [at_us, address] : order) addresses.push_back(address);
  if (place.home && (!place.home_lost || among(*place.home))) {
    std::erase_if(addresses, [&](const Address& a) { return a.same_host(*place.home); });
    addresses.insert(addresses.begin(), *place.home);
  }
  for (Address& address : addresses) address = address.with_port(transport.port_);
  return addresses;
}

// Its events come at the turn's end: no transport begins or ends here.
void SocketDialer::on_tick(Now now) {
  names_.on_tick(now);
  for (const auto& [id, transport] : live_) {
    if (!transport->host_.empty() && !transport->failed_) watch_name(*transport, now);
    transport->check_deadline(now);
  }
}

void SocketDialer::watch_name(SocketTransport& transport, Now now) {
  if (transport.state_ == SocketTransport::State::resolving) return resume(transport, now);
  if (transport.state_ != SocketTransport::State::open) return;
  if (!names_.has_left(transport.host_, transport.address(), now)) return;
  Place& place = place_of(transport);
  if (place.home && place.home->same_host(transport.address())) place.home.reset();
  transport.fail(CloseReason::moved, transport.host_ + " is " + names_.text(transport.host_) +
                                         " now, not " + transport.address().host_text() +
                                         " any more");
}

void SocketDialer::on_open(SocketTransport& transport) {
  Place& place = place_of(transport);
  const Address address = transport.address();
  if (!place.home || !place.home->same_host(address)) {
    for (const auto& [id, other] : live_) {
      const bool beside = other->state_ == SocketTransport::State::open && !other->failed_ &&
                          other->host_ == transport.host_ && other->port_ == transport.port_;
      if (!beside || other->address().same_host(address)) continue;
      other->fail(CloseReason::moved, transport.host_ + " is used at " + address.host_text() +
                                          " now, not at " + other->address().host_text());
    }
  }
  place.home = address;
  place.home_lost = false;
  const auto last = std::exchange(place.last, address);
  if (!last || last->same_host(address) || names_.holds(transport.host_, *last)) return;
  ++counters_.name_moves;
  log_.on_event({Severity::warning,
                 "name_moved",
                 "the name " + transport.host_ + " has moved from " + last->host_text() + " to " +
                     address.host_text() + " (port " + std::to_string(transport.port_) +
                     "): connections go there now",
                 {}});
}

void SocketDialer::on_failed(SocketTransport& transport, bool proven) {
  Place& place = place_of(transport);
  const Address address = transport.address();
  const bool at_home = place.home && place.home->same_host(address);
  if (proven) {
    place.home_lost = place.home_lost || at_home;
    return;
  }
  if (at_home) place.home.reset();
  std::erase_if(place.failed, [&](const auto& entry) { return entry.first.same_host(address); });
  place.failed.emplace_back(address, loop_.now().mono_us);
}

}  // namespace stayd
