// Connections to Redis over TLS, as a layer on another Dialer: a connection counts as connected
// when the handshake is done, and the certificate is accepted.
//
// The files are looked at before each connection and read again when they have changed; where the
// new ones do not read, the last good ones stay in use, and an event tells. Connections that are up
// keep what they were made with.
//
// Ownership: outlives its transports; the loop, the dialer below and the log outlive it. Loop
// thread only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/tls.h"
#include "observe/events.h"
#include "redis/transport.h"

namespace stayd {

class TlsTransport;

class TlsDialer final : public Dialer, public Ticker {
 public:
  static constexpr std::int64_t kHandshakeUs = 1'000'000;  // beyond the time to connect

  TlsDialer(Loop& loop, Dialer& below, EventSink& log);
  ~TlsDialer() override;
  // Once, before the first dial(). Errors: invalid, as TlsContext::load().
  Result<void> start(const TlsOptions& options);

  std::unique_ptr<Transport> dial(const Endpoint& endpoint, std::int64_t connect_timeout_ms,
                                  TransportEvents& events) override;
  void on_tick(Now now) override;

  // Ends of certificates, seconds since the epoch; 0: none, or not seen yet.
  std::int64_t server_not_after_s() const { return server_.not_after_s; }
  std::int64_t own_not_after_s() const { return own_.not_after_s; }

 private:
  friend class TlsTransport;
  struct Certificate {
    std::int64_t not_after_s = 0;
    std::int64_t told_days = 0;  // the last limit that a warning was for; 0: none
  };

  void read_files_again();
  void note_server(std::int64_t not_after_s);
  void warn(Certificate& certificate, std::string_view whose, std::int64_t wall_ms);

  Loop& loop_;
  Dialer& below_;
  EventSink& log_;
  std::shared_ptr<const TlsContext> context_;
  std::string files_seen_;  // what stat() said when they were last read
  Certificate server_, own_;
  std::int64_t next_warning_us_ = 0;
  std::map<std::uint64_t, TlsTransport*> live_;
  std::uint64_t next_id_ = 1;
};

}  // namespace stayd
