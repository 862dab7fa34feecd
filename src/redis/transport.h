// A byte stream to a Redis server, as the state machines of redis/ see it. Real sockets come from
// net/, simulated ones from sim/. Loop thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace stayd {

struct Endpoint {
  std::string host;           // name or address; empty for a unix socket
  std::uint16_t port = 6379;  // 0: nobody knows yet where it is
  std::string unix_path;      // non-empty: a unix socket
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
  bool known() const { return port != 0 || !unix_path.empty(); }
  std::string text() const {
    return unix_path.empty() ? host + ":" + std::to_string(port) : "unix:" + unix_path;
  }
};

enum class CloseReason : std::uint8_t {
  refused,  // ECONNREFUSED, or the unix socket is not there: nobody listens
  timeout,  // connect, or TCP_USER_TIMEOUT
  reset,    // RST, EPIPE
  eof,      // FIN
  resolve,  // the name did not resolve
  moved,    // the name has left the address: Redis is elsewhere
  local,    // this process or host has no descriptor or memory for it: says nothing of Redis
  other,
};

class TransportEvents {
 public:
  virtual ~TransportEvents() = default;
  virtual void on_connected() = 0;
  // Bytes as they arrive, valid during the call. The receiver keeps what it cannot use yet.
  virtual void on_bytes(std::string_view bytes) = 0;
  // The stream is over; no event follows. `detail` is for people ("Connection refused").
  virtual void on_closed(CloseReason reason, std::string_view detail) = 0;
};

class Transport {
 public:
  // Closes like close(true) when still open, without events.
  virtual ~Transport() = default;
  // Appends to the output; sent at the end of the loop turn, in order; what is written before
  // on_connected() follows it. Ignored after the end.
  virtual void write(std::string_view bytes) = 0;
  // Bytes written and not yet taken by the kernel.
  virtual std::size_t unsent_bytes() const = 0;
  // Ends the stream without events. `reset`: with SO_LINGER {1, 0}, so that the kernel never
  // retransmits what was not delivered (a condemned connection, docs/architecture.md).
  virtual void close(bool reset) = 0;
};

class Dialer {
 public:
  virtual ~Dialer() = default;
  // Starts connecting (deadline `connect_timeout_ms`, name resolution included and off the loop);
  // TCP_NODELAY, TCP_USER_TIMEOUT 5 s, keepalive 5/2/3. Events never arrive during this call. A
  // name is asked anew, and again while the transport is open: one that it leaves is closed.
  // `events` outlives the transport.
  virtual std::unique_ptr<Transport> dial(const Endpoint& endpoint, std::int64_t connect_timeout_ms,
                                          TransportEvents& events) = 0;
};

}  // namespace stayd
