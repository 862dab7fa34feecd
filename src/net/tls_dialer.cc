#include "net/tls_dialer.h"

#include <fmt/format.h>

#include <utility>

namespace stayd {

namespace {

constexpr std::int64_t kWarnEveryUs = 60'000'000;
}  // namespace

class TlsTransport final : public Transport, private TransportEvents, private TurnEnd {
 public:
  TlsTransport(TlsDialer& dialer, std::uint64_t id, TransportEvents& events,
               const std::string& host)
      : dialer_(dialer), id_(id), events_(events), stream_(dialer.files_.context(), host) {
    dialer_.live_[id_] = this;
  }
  ~TlsTransport() override {
    if (alive_ != nullptr) *alive_ = false;
    dialer_.loop_.cancel_turn_end(*this);
    dialer_.live_.erase(id_);
  }

  void dial(Dialer& below, const Endpoint& endpoint, std::int64_t connect_timeout_ms) {
    below_ = below.dial(endpoint, connect_timeout_ms, *this);
  }

  // A turn's commands are one record.
  void write(std::string_view bytes) override {
    if (closed_) return;
    plain_.append(bytes);
    dialer_.loop_.request_turn_end(*this);
  }
  std::size_t unsent_bytes() const override { return plain_.size() + below_->unsent_bytes(); }
  void close(bool reset) override {
    closed_ = true;
    below_->close(reset);
  }

  void check_deadline(Now now) {
    if (closed_ || stream_.established() || handshake_until_us_ == 0) return;
    if (now.mono_us <= handshake_until_us_) return;
    fail("no answer to the TLS handshake: is this a port without TLS?");
  }

 private:
  void on_connected() override {
    handshake_until_us_ = dialer_.loop_.now().mono_us + TlsDialer::kHandshakeUs;
    stream_.start();
    below_->write(stream_.take_output());
  }

  void on_bytes(std::string_view cipher) override {
    if (closed_) return;
    const bool before = stream_.established();
    std::string plain;
    const auto received = stream_.receive(cipher, plain);
    if (auto output = stream_.take_output(); !output.empty()) below_->write(output);
    bool alive = true;
    alive_ = &alive;
    if (!before && stream_.established()) {
      dialer_.note_server(stream_.not_after_s());
      events_.on_connected();
    }
    if (alive && !closed_ && !plain.empty()) events_.on_bytes(plain);
    if (!alive) return;
    alive_ = nullptr;
    if (closed_) return;
    if (!received) return fail(received.error().message);
    if (stream_.ended()) end(CloseReason::eof, "closed by the server");
  }

  void on_closed(CloseReason reason, std::string_view detail) override {
    if (closed_) return;
    const bool in_handshake = handshake_until_us_ != 0 && !stream_.established();
    closed_ = true;
    events_.on_closed(reason, in_handshake ? fmt::format("in the TLS handshake: {}", detail)
                                           : std::string(detail));  // may destroy us
  }

  void on_turn_end(Now) override {
    if (closed_ || plain_.empty() || !stream_.established()) return;
    stream_.send(plain_);
    plain_.clear();
    below_->write(stream_.take_output());
  }

  void fail(std::string_view why) { end(CloseReason::other, why); }
  void end(CloseReason reason, std::string_view why) {
    close(true);
    events_.on_closed(reason, std::string(why));  // may destroy us
  }

  TlsDialer& dialer_;
  const std::uint64_t id_;
  TransportEvents& events_;
  TlsStream stream_;
  std::unique_ptr<Transport> below_;
  std::string plain_;
  std::int64_t handshake_until_us_ = 0;
  bool closed_ = false;
  bool* alive_ = nullptr;  // set to false by the destructor, for callbacks that destroy us
};

TlsDialer::TlsDialer(Loop& loop, Dialer& below, EventSink& log)
    : loop_(loop),
      below_(below),
      log_(log),
      files_(TlsRole::client, "stayd's own certificate for Redis", log) {
  loop_.add_ticker(*this);
}

TlsDialer::~TlsDialer() {
  loop_.remove_ticker(*this);
}

std::unique_ptr<Transport> TlsDialer::dial(const Endpoint& endpoint,
                                           std::int64_t connect_timeout_ms,
                                           TransportEvents& events) {
  files_.refresh();
  auto transport = std::make_unique<TlsTransport>(*this, next_id_++, events, endpoint.host);
  transport->dial(below_, endpoint, connect_timeout_ms);
  return transport;
}

void TlsDialer::on_tick(Now now) {
  std::vector<std::uint64_t> ids;  // a transport that fails may end, and another begin
  for (const auto& [id, transport] : live_) ids.push_back(id);
  for (const auto id : ids) {
    const auto it = live_.find(id);
    if (it != live_.end()) it->second->check_deadline(now);
  }
  if (now.mono_us < next_warning_us_) return;
  next_warning_us_ = now.mono_us + kWarnEveryUs;
  server_.warn("the certificate of Redis", now.wall_ms, log_);
  files_.warn(now.wall_ms);
}

void TlsDialer::note_server(std::int64_t not_after_s) {
  if (server_.not_after_s != not_after_s) next_warning_us_ = 0;
  server_.not_after_s = not_after_s;
}

}  // namespace stayd
