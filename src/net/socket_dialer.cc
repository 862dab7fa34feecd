#include "net/socket_dialer.h"

#include <sys/un.h>

#include <cstring>
#include <utility>

#include "net/socket_transport.h"

namespace stayd {

namespace {

// Size 0: the path is too long.
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
    : loop_(loop),
      names_(*this, resolver, [this] { loop_.request_turn_end(*this); }, log, counters) {
  loop_.add_ticker(*this);
}

SocketDialer::~SocketDialer() {
  loop_.remove_ticker(*this);
  loop_.cancel_turn_end(*this);
}

void SocketDialer::forget(SocketTransport& transport) {
  live_.erase(transport.id_);
}

std::unique_ptr<Transport> SocketDialer::dial(const Endpoint& endpoint,
                                              std::int64_t connect_timeout_ms,
                                              TransportEvents& events) {
  if (!endpoint.unix_path.empty()) {
    auto transport = make(connect_timeout_ms, events);
    const Address address = unix_address(endpoint.unix_path);
    if (address.size != 0) {
      transport->connect(address);
    } else {
      transport->fail(CloseReason::other, "the socket's path is too long");
    }
    return transport;
  }
  if (const Address address = Address::numeric(endpoint.host); address.size != 0) {
    return dial_address(address.with_port(endpoint.port), connect_timeout_ms, events);
  }
  names_.set_now(loop_.now());
  return names_.dial(endpoint, connect_timeout_ms, events);
}

std::unique_ptr<Transport> SocketDialer::dial_address(const Address& address,
                                                      std::int64_t connect_timeout_ms,
                                                      TransportEvents& events) {
  auto transport = make(connect_timeout_ms, events);
  transport->connect(address);
  return transport;
}

std::unique_ptr<SocketTransport> SocketDialer::make(std::int64_t connect_timeout_ms,
                                                    TransportEvents& events) {
  const std::uint64_t id = next_id_++;
  auto transport = std::make_unique<SocketTransport>(
      *this, id, events, loop_.now().mono_us + connect_timeout_ms * 1000);
  live_.emplace(id, transport.get());
  return transport;
}

// Their events come at the turn's end. Those by name follow behind all of them: after the process
// has stood still, a connection may be up in the very turn in which its time has run out.
void SocketDialer::on_tick(Now now) {
  for (const auto& [id, transport] : live_) transport->check_deadline(now);
  ticked_ = true;
  loop_.cancel_turn_end(*this);
  loop_.request_turn_end(*this);
}

void SocketDialer::on_turn_end(Now now) {
  if (std::exchange(ticked_, false)) names_.on_tick(now);
  names_.tell_ends();
}

}  // namespace stayd
