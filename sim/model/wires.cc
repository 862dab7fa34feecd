#include "sim/model/wires.h"

#include <algorithm>
#include <utility>

namespace stayd::sim::model {

class Wires::WireTransport final : public Transport {
 public:
  explicit WireTransport(WirePtr wire) : wire_(std::move(wire)) {}
  ~WireTransport() override { close(true); }
  void write(std::string_view bytes) override {
    if (wire_->client != nullptr) wire_->outbox.append(bytes);
  }
  std::size_t unsent_bytes() const override { return 0; }
  void close(bool) override { Wires::close(*wire_); }

 private:
  WirePtr wire_;
};

// A reset: what has not left is dropped, what is on its way may still arrive, the end behind it.
void Wires::close(Wire& wire) {
  if (wire.client == nullptr) return;
  wire.client = nullptr;
  wire.outbox.clear();
  wire.to_stayd.clear();
  wire.to_redis.push_back({Piece::What::end, {}});
}

std::unique_ptr<Transport> Wires::dial(const Endpoint&, std::int64_t, TransportEvents& events) {
  auto wire = std::make_shared<Wire>();
  wire->instance = instance_;
  wire->client = &events;
  wire->to_redis.push_back({Piece::What::open, {}});
  all_.push_back(wire);
  return std::make_unique<WireTransport>(wire);
}

void Wires::flush() {
  for (const WirePtr& wire : all_) {
    if (wire->outbox.empty()) continue;
    wire->to_redis.push_back({Piece::What::bytes, std::exchange(wire->outbox, {})});
  }
}

void Wires::redis_takes(const WirePtr& wire, RedisModel& redis, int node) {
  const Piece piece = std::move(wire->to_redis.front());
  wire->to_redis.pop_front();
  switch (piece.what) {
    case Piece::What::open: {
      wire->node = node;
      wire->peer = redis.accept();
      Wire* const raw = wire.get();  // the peer is closed before the wire goes
      wire->peer->send = [raw](std::string bytes) {
        if (raw->client != nullptr) raw->to_stayd.push_back({Piece::What::bytes, std::move(bytes)});
      };
      wire->peer->close = [raw] {
        if (raw->client != nullptr) raw->to_stayd.push_back({Piece::What::end, {}});
      };
      wire->to_stayd.push_back({Piece::What::open, {}});
      return;
    }
    case Piece::What::bytes:
      if (wire->peer != nullptr) redis.receive(wire->peer, piece.bytes);
      return;
    case Piece::What::end:
      return;  // swept
  }
}

void Wires::stayd_takes(const WirePtr& wire) {
  const Piece piece = std::move(wire->to_stayd.front());
  wire->to_stayd.pop_front();
  switch (piece.what) {
    case Piece::What::open:
      return wire->client->on_connected();
    case Piece::What::bytes:
      return wire->client->on_bytes(piece.bytes);
    case Piece::What::end:
      return std::exchange(wire->client, nullptr)->on_closed(CloseReason::reset, "reset by peer");
  }
}

void Wires::lose(const WirePtr& wire, RedisModel* redis, bool arrives) {
  TransportEvents* const client = wire->client;
  close(*wire);
  if (!arrives) {
    wire->to_redis.clear();
    if (wire->peer != nullptr && wire->peer->open) redis->peer_gone(wire->peer);
  }
  client->on_closed(CloseReason::reset, "reset by peer");
}

// The end of a connection, a connection nobody waits for, the first commands on it (HELLO, INFO);
// and whatever an old primary would do with it: what that one holds is never seen again.
void Wires::sweep(const std::unique_ptr<RedisModel> (&nodes)[2], int primary) {
  static constexpr std::string_view kGate = "*4\r\n$5\r\nHELLO\r\n";
  for (const WirePtr& wire : all_) {
    auto& pieces = wire->to_redis;
    while (wire->client == nullptr && !pieces.empty()) {
      const Piece& front = pieces.front();
      const bool matters = wire->node != 1 - primary && !front.bytes.starts_with(kGate);
      if (front.what == Piece::What::bytes && matters) break;
      if (front.what == Piece::What::end && wire->peer != nullptr && wire->peer->open) {
        nodes[wire->node]->peer_gone(wire->peer);
      }
      pieces.pop_front();
    }
  }
  std::erase_if(
      all_, [](const WirePtr& wire) { return wire->client == nullptr && wire->to_redis.empty(); });
}

bool Wires::lead_to(int node) const {
  return std::ranges::any_of(all_, [node](const WirePtr& wire) { return wire->node == node; });
}

}  // namespace stayd::sim::model
