#include "sim/network.h"

#include <algorithm>

namespace stayd::sim {

class Network::SimTransport final : public Transport {
 public:
  SimTransport(Network& network, WirePtr wire) : network_(network), wire_(std::move(wire)) {}
  ~SimTransport() override { close(true); }
  void write(std::string_view bytes) override {
    if (wire_->client == nullptr) return;
    wire_->outbox.append(bytes);
    if (wire_->flush_scheduled) return;
    wire_->flush_scheduled = true;
    network_.scheduler_.after(0, [network = &network_, wire = wire_] { network->flush(wire); });
  }
  std::size_t unsent_bytes() const override { return wire_->outbox.size(); }
  void close(bool) override {
    if (wire_->client != nullptr) network_.close_client(wire_);
  }

 private:
  Network& network_;
  WirePtr wire_;
};

Network::Network(Scheduler& scheduler, Random& random, Resolve resolve, Deliver deliver)
    : scheduler_(scheduler),
      random_(random),
      resolve_(std::move(resolve)),
      deliver_(std::move(deliver)) {}

Network::~Network() {
  for (const WirePtr& wire : wires_) drop_held(*wire);
}

// What a wire holds back holds the wire: without this neither ends.
void Network::drop_held(Wire& wire) {
  wire.held_to_server.clear();
  wire.held_to_client.clear();
}

std::int64_t Network::delay() {
  return min_delay_us + static_cast<std::int64_t>(
                            random_.below(static_cast<std::uint64_t>(max_delay_us - min_delay_us)));
}

void Network::to_server(const WirePtr& wire, std::function<void()> action) {
  if (silent_to_server) {
    wire->held_to_server.push_back(std::move(action));
    return;
  }
  wire->last_to_server_us = std::max(wire->last_to_server_us, scheduler_.now_us() + delay());
  scheduler_.at(wire->last_to_server_us, [wire, action = std::move(action)] {
    if (!wire->reset) action();
  });
}

void Network::to_client(const WirePtr& wire, std::function<void()> action) {
  if (silent_to_client) {
    wire->held_to_client.push_back(std::move(action));
    return;
  }
  wire->last_to_client_us = std::max(wire->last_to_client_us, scheduler_.now_us() + delay());
  scheduler_.at(wire->last_to_client_us, [this, wire, action = std::move(action)] {
    deliver_([wire, action] {
      if (wire->client != nullptr) action();
    });
  });
}

void Network::speak() {
  silent_to_server = silent_to_client = false;
  for (const WirePtr& wire : wires_) {
    for (auto& action : std::exchange(wire->held_to_server, {})) {
      to_server(wire, std::move(action));
    }
    for (auto& action : std::exchange(wire->held_to_client, {})) {
      to_client(wire, std::move(action));
    }
  }
}

std::unique_ptr<Transport> Network::dial(const Endpoint& endpoint, std::int64_t connect_timeout_ms,
                                         TransportEvents& events) {
  std::erase_if(wires_, [](const WirePtr& wire) {
    if (wire->client != nullptr || (wire->peer != nullptr && wire->peer->open)) return false;
    drop_held(*wire);
    return true;
  });
  dialled_us_[endpoint.text()] = scheduler_.now_us();
  auto wire = std::make_shared<Wire>();
  wire->client = &events;
  wires_.push_back(wire);
  to_server(wire, [this, wire, endpoint] { connect(wire, endpoint); });
  scheduler_.after(connect_timeout_ms * kMs, [this, wire] {
    deliver_([this, wire] {
      if (wire->client != nullptr && !wire->connected) {
        end_client(wire, CloseReason::timeout, "connect timed out");
      }
    });
  });
  return std::make_unique<SimTransport>(*this, wire);
}

void Network::connect(const WirePtr& wire, const Endpoint& endpoint) {
  if (wire->client == nullptr) return;
  Server* const server = resolve_(endpoint);
  if (server == nullptr || !server->listening()) {
    to_client(wire, [this, wire] { end_client(wire, CloseReason::refused, "Connection refused"); });
    return;
  }
  auto peer = server->accept();
  wire->peer = peer;
  wire->run_id = server->run_id();
  // The server's end does not keep the wire alive: a wire nobody listens on any more is dropped.
  peer->send = [this, weak = std::weak_ptr(wire)](std::string bytes) {
    const WirePtr wire = weak.lock();
    if (wire == nullptr) return;
    to_client(wire, [this, wire, bytes = std::move(bytes)] {
      scheduler_.trace(bytes);
      // Sometimes in two pieces, as TCP does.
      const std::size_t cut = random_.chance(10) ? random_.below(bytes.size()) : 0;
      if (cut != 0) wire->client->on_bytes(std::string_view(bytes).substr(0, cut));
      if (wire->client != nullptr) wire->client->on_bytes(std::string_view(bytes).substr(cut));
    });
  };
  peer->close = [this, weak = std::weak_ptr(wire)] {
    const WirePtr wire = weak.lock();
    if (wire == nullptr) return;
    to_client(wire, [this, wire] { end_client(wire, CloseReason::reset, "Connection reset"); });
  };
  to_client(wire, [wire] {
    wire->connected = true;
    wire->client->on_connected();
  });
  server->greet(peer);
}

void Network::flush(const WirePtr& wire) {
  wire->flush_scheduled = false;
  if (wire->client == nullptr || wire->outbox.empty()) return;
  to_server(wire, [this, wire, bytes = std::exchange(wire->outbox, {})] {
    scheduler_.trace(bytes);
    if (wire->peer == nullptr || !wire->peer->open) return;
    Server& server = *wire->peer->server;
    if (wire->client == nullptr && server.run_id() != wire->run_id) on_stray(bytes);
    server.receive(wire->peer, bytes);
  });
}

// SO_LINGER {1, 0}: what has not left is dropped, what is on its way may still arrive.
void Network::close_client(const WirePtr& wire) {
  wire->client = nullptr;
  wire->outbox.clear();
  drop_held(*wire);
  if (silent_to_server) return;  // the RST is lost too
  to_server(wire, [wire] {
    if (wire->peer != nullptr) wire->peer->server->peer_gone(wire->peer);
  });
}

void Network::end_client(const WirePtr& wire, CloseReason reason, std::string detail) {
  TransportEvents* client = std::exchange(wire->client, nullptr);
  if (client != nullptr) client->on_closed(reason, detail);
}

Network::WirePtr Network::pick(unsigned choice) const {
  std::vector<WirePtr> open;
  for (const WirePtr& wire : wires_) {
    if (wire->client != nullptr && wire->connected) open.push_back(wire);
  }
  return open.empty() ? nullptr : open[choice % open.size()];
}

bool Network::talks_to(const Server& server) const {
  return std::ranges::any_of(wires_, [&](const WirePtr& wire) {
    const bool open = wire->client != nullptr && wire->connected && wire->peer->open;
    return open && wire->peer->server == &server;
  });
}

std::int64_t Network::dialled_us(const Endpoint& endpoint) const {
  const auto it = dialled_us_.find(endpoint.text());
  return it == dialled_us_.end() ? 0 : it->second;
}

bool Network::halve_one(unsigned choice) {
  const WirePtr wire = pick(choice);
  if (wire == nullptr) return false;
  wire->reset = true;
  wire->held_to_server.clear();
  wire->held_to_client.clear();
  wire->peer->send = [](const std::string&) {};
  wire->peer->close = [] {};
  if (wire->peer->open) wire->peer->server->peer_gone(wire->peer);
  return true;
}

bool Network::delay_one(unsigned choice, std::int64_t lag_us) {
  const WirePtr wire = pick(choice);
  if (wire == nullptr) return false;
  wire->last_to_server_us = std::max(wire->last_to_server_us, scheduler_.now_us() + lag_us);
  return true;
}

bool Network::lose_one(unsigned choice) {
  const WirePtr wire = pick(choice);
  if (wire == nullptr) return false;
  // What was under way to Redis is lost, or still arrives; never with a gap.
  wire->reset = silent_to_server || random_.chance(50);
  wire->held_to_server.clear();
  if (wire->reset && wire->peer->open) wire->peer->server->peer_gone(wire->peer);
  const std::int64_t when = scheduler_.now_us() + delay();
  scheduler_.at(when, [this, wire] {
    deliver_([this, wire] { end_client(wire, CloseReason::reset, "Connection reset by peer"); });
  });
  return true;
}

}  // namespace stayd::sim
