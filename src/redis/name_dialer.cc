#include "redis/name_dialer.h"

#include <algorithm>

#include "redis/name_transport.h"

namespace stayd {

namespace {

constexpr std::size_t kMaxPlaces = 2 * NameCache::kMaxNames;  // beyond, they are learnt anew

}  // namespace

NameDialer::NameDialer(AddressDialer& below, NameResolver& resolver, std::function<void()> due,
                       EventSink& log, Counters& counters, const Rules& rules)
    : below_(below),
      due_(std::move(due)),
      log_(log),
      counters_(counters),
      rules_(rules),
      names_(resolver, log, counters) {}

NameDialer::~NameDialer() = default;

std::unique_ptr<Transport> NameDialer::dial(const Endpoint& endpoint,
                                            std::int64_t connect_timeout_ms,
                                            TransportEvents& events) {
  const std::uint64_t id = next_id_++;
  auto transport = std::make_unique<NameTransport>(
      *this, id, endpoint, now_.mono_us + connect_timeout_ms * 1000, events);
  live_.emplace(id, transport.get());
  resume(*transport);
  return transport;
}

NameDialer::Place& NameDialer::place_of(const NameTransport& transport) {
  if (places_.size() >= kMaxPlaces) places_.clear();
  return places_[transport.endpoint_.text()];
}

void NameDialer::resume(NameTransport& transport) {
  const auto found = names_.look(transport.endpoint_.host, transport.dialled_us_, now_);
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
Addresses NameDialer::in_order(const NameTransport& transport, Addresses addresses) {
  Place& place = place_of(transport);
  std::erase_if(place.failed, [&](const auto& entry) { return !among(addresses, entry.first); });
  const auto failed_us = [&](const Address& one) {
    const auto it = std::ranges::find_if(
        place.failed, [&](const auto& entry) { return entry.first.same_host(one); });
    return it == place.failed.end() ? std::int64_t{0} : it->second;
  };
  std::multimap<std::int64_t, Address> order;  // of equals the one that was answered first
  for (const Address& address : addresses) order.emplace(failed_us(address), address);
  addresses.clear();
  for (const auto& [at_us, address] : order) addresses.push_back(address);
  if (place.home && (!place.home_lost || among(addresses, *place.home))) {
    std::erase_if(addresses, [&](const Address& a) { return a.same_host(*place.home); });
    addresses.insert(addresses.begin(), *place.home);
  }
  for (Address& address : addresses) address = address.with_port(transport.endpoint_.port);
  return addresses;
}

void NameDialer::on_tick(Now now) {
  now_ = now;
  names_.on_tick(now);
  for (const auto& [id, transport] : live_) {
    transport->check_deadline();  // first: an address that was not tried has not failed
    if (transport->state_ == NameTransport::State::resolving) resume(*transport);
    if (transport->state_ == NameTransport::State::open) watch_name(*transport);
  }
}

void NameDialer::tell_ends() {
  std::vector<std::uint64_t> ended;
  for (const auto& [id, transport] : live_) {
    if (transport->state_ == NameTransport::State::failed) ended.push_back(id);
  }
  for (const std::uint64_t id : ended) {
    const auto it = live_.find(id);
    if (it != live_.end() && it->second->state_ == NameTransport::State::failed)
      it->second->tell_end();
  }
}

void NameDialer::watch_name(NameTransport& transport) {
  const std::string& host = transport.endpoint_.host;
  if (!names_.has_left(host, transport.address(), now_) || !rules_.names_are_watched) return;
  Place& place = place_of(transport);
  if (place.home && place.home->same_host(transport.address())) place.home.reset();
  transport.fail(CloseReason::moved, host + " is " + names_.text(host) + " now, not " +
                                         transport.address().host_text() + " any more");
}

bool NameDialer::on_open(NameTransport& transport) {
  Place& place = place_of(transport);
  const Endpoint& name = transport.endpoint_;
  const Address address = transport.address();
  const bool elsewhere = !place.home || !place.home->same_host(address);
  place.home = address;
  place.home_lost = false;
  const auto last = std::exchange(place.last, address);
  if (last && !last->same_host(address) && !names_.holds(name.host, *last)) {
    ++counters_.name_moves;
    log_.on_event({Severity::warning,
                   "name_moved",
                   "the name " + name.host + " has moved from " + last->host_text() + " to " +
                       address.host_text() + " (port " + std::to_string(name.port) +
                       "): connections go there now",
                   {}});
  }
  if (!elsewhere) return true;
  for (const auto& [id, other] : live_) {
    const bool beside = other->state_ == NameTransport::State::open && other->endpoint_ == name;
    if (!beside || other->address().same_host(address)) continue;
    other->fail(CloseReason::moved, name.host + " is used at " + address.host_text() +
                                        " now, not at " + other->address().host_text());
  }
  const std::uint64_t id = transport.id_;
  tell_ends();
  const auto it = live_.find(id);
  return it != live_.end() && it->second->state_ == NameTransport::State::open;
}

void NameDialer::on_failed(NameTransport& transport, bool proven) {
  Place& place = place_of(transport);
  const Address address = transport.address();
  const bool at_home = place.home && place.home->same_host(address);
  if (proven) {
    place.home_lost = place.home_lost || at_home;
    return;
  }
  if (at_home) place.home.reset();
  std::erase_if(place.failed, [&](const auto& entry) { return entry.first.same_host(address); });
  place.failed.emplace_back(address, now_.mono_us);
}

}  // namespace stayd
