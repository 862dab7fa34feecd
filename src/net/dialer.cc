// AsioDialer: name resolution and the transports under way.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <boost/asio/ip/tcp.hpp>
#include <cstring>
#include <optional>
#include <utility>

#include "net/socket_transport.h"

namespace stayd {
namespace asio = boost::asio;
using asio::ip::tcp;

struct AsioDialer::Resolver {
  explicit Resolver(Loop& loop) : resolver(loop.io()) {}
  tcp::resolver resolver;
  // Results that arrive after the dialer's end find this false.
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

namespace {

std::optional<std::pair<sockaddr_storage, socklen_t>> numeric_address(const std::string& host,
                                                                      std::uint16_t port) {
  std::pair<sockaddr_storage, socklen_t> out{};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out.first);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    out.second = sizeof *v4;
    return out;
  }
  const bool bracketed = host.size() > 1 && host.front() == '[' && host.back() == ']';
  const std::string bare = bracketed ? host.substr(1, host.size() - 2) : host;
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.first);
  if (inet_pton(AF_INET6, bare.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    out.second = sizeof *v6;
    return out;
  }
  return std::nullopt;
}

}  // namespace

AsioDialer::AsioDialer(Loop& loop) : loop_(loop), resolver_(std::make_unique<Resolver>(loop)) {
  loop_.add_ticker(*this);
}

AsioDialer::~AsioDialer() {
  *resolver_->alive = false;
  loop_.remove_ticker(*this);
}

void AsioDialer::forget(SocketTransport& transport) {
  live_.erase(transport.id_);
}

std::unique_ptr<Transport> AsioDialer::dial(const Endpoint& endpoint,
                                            std::int64_t connect_timeout_ms,
                                            TransportEvents& events) {
  const std::uint64_t id = next_id_++;
  auto transport = std::make_unique<SocketTransport>(
      *this, id, events, loop_.now().mono_us + connect_timeout_ms * 1000);
  live_.emplace(id, transport.get());
  if (!endpoint.unix_path.empty()) {
    Address address;
    auto* target = reinterpret_cast<sockaddr_un*>(&address.storage);
    target->sun_family = AF_UNIX;
    if (endpoint.unix_path.size() >= sizeof target->sun_path) {
      transport->fail(CloseReason::other, "the socket's path is too long");
      return transport;
    }
    std::memcpy(target->sun_path, endpoint.unix_path.c_str(), endpoint.unix_path.size() + 1);
    address.size = sizeof *target;
    transport->connect({address});
    return transport;
  }
  if (const auto numeric = numeric_address(endpoint.host, endpoint.port)) {
    transport->connect({Address{numeric->first, numeric->second}});
    return transport;
  }
  resolve(endpoint.host, endpoint.port, id);
  return transport;
}

void AsioDialer::resolve(const std::string& host, std::uint16_t port, std::uint64_t transport) {
  const std::string key = host + ":" + std::to_string(port);
  Name& name = names_[key];
  const std::int64_t now_us = loop_.now().mono_us;
  if (!name.addresses.empty() && now_us - name.resolved_us < kResolveTtlUs) {
    live_[transport]->connect(name.addresses);
    return;
  }
  name.waiting.push_back({transport, now_us});
  if (name.asking) return;
  name.asking = true;
  resolver_->resolver.async_resolve(
      host, std::to_string(port),
      [this, key, alive = resolver_->alive](boost::system::error_code ec,
                                            const tcp::resolver::results_type& found) {
        if (!*alive) return;
        Addresses addresses;
        if (!ec) {
          for (const auto& entry : found) {
            Address address;
            std::memcpy(&address.storage, entry.endpoint().data(), entry.endpoint().size());
            address.size = static_cast<socklen_t>(entry.endpoint().size());
            addresses.push_back(address);
          }
        }
        on_resolved(key, std::move(addresses), ec.message());
      });
}

void AsioDialer::on_resolved(const std::string& key, Addresses found, const std::string& error) {
  Name& name = names_[key];
  name.asking = false;
  if (!found.empty()) {
    name.addresses = std::move(found);
    name.resolved_us = loop_.now().mono_us;
  }
  for (const Waiting& waiting : std::exchange(name.waiting, {})) {
    connect(waiting.transport, name.addresses, error);
  }
}

// Of a transport that waits for its name; of no other.
void AsioDialer::connect(std::uint64_t transport, const Addresses& addresses,
                         const std::string& error) {
  const auto it = live_.find(transport);
  if (it == live_.end() || it->second->failed_ ||
      it->second->state_ != SocketTransport::State::resolving) {
    return;
  }
  if (addresses.empty()) {
    it->second->fail(CloseReason::resolve, "the name does not resolve: " + error);
  } else {
    it->second->connect(addresses);
  }
}

void AsioDialer::on_tick(Now now) {
  for (auto& [key, name] : names_) {
    std::erase_if(name.waiting, [&](const Waiting& waiting) {
      const bool late = now.mono_us - waiting.since_us > kResolvePatienceUs;
      if (late && !name.addresses.empty()) {
        connect(waiting.transport, name.addresses, "");
        return true;
      }
      return !live_.contains(waiting.transport);
    });
  }
  for (const auto& [id, transport] : live_) transport->check_deadline(now);
}

}  // namespace stayd
