// Connections to Redis over TLS, as a layer on another Dialer: a connection counts as connected
// when the handshake is done, and the certificate is accepted.
//
// The files are looked at before each connection; connections that are up keep what they were made
// with.
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
#include "net/tls_files.h"
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
  Result<void> start(const TlsOptions& options) { return files_.start(options); }

  std::unique_ptr<Transport> dial(const Endpoint& endpoint, std::int64_t connect_timeout_ms,
                                  TransportEvents& events) override;
  void on_tick(Now now) override;

  // Ends of certificates, seconds since the epoch; 0: none, or not seen yet.
  std::int64_t server_not_after_s() const { return server_.not_after_s; }
  std::int64_t own_not_after_s() const { return files_.not_after_s(); }

 private:
  friend class TlsTransport;
  void note_server(std::int64_t not_after_s);

  Loop& loop_;
  Dialer& below_;
  EventSink& log_;
  TlsFiles files_;
  CertificateWatch server_;
  std::int64_t next_warning_us_ = 0;
  std::map<std::uint64_t, TlsTransport*> live_;
  std::uint64_t next_id_ = 1;
};

}  // namespace stayd
