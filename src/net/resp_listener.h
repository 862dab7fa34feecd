// The Redis port's sockets: accepts clients and moves bytes between them and their ClientSessions.
// All replies of one loop turn to one client leave in one send().
//
// Ownership: owns connections and sessions; handler, counters and context outlive it, and context's
// call pool outlives the engine's work on their calls. Loop thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/call.h"
#include "net/acceptor.h"
#include "net/loop.h"
#include "net/tls_files.h"
#include "observe/counters.h"
#include "proxy/port_context.h"

namespace stayd {

class RespListener final : public AcceptTarget, public TurnEnd, public Ticker {
 public:
  RespListener(Loop& loop, CallHandler& handler, Counters& counters, PortContext& context);
  ~RespListener() override;

  Result<void> listen(const std::string& address, const ListenOptions& options = {}) {
    return acceptor_.listen(address, options);
  }
  // Clients speak TLS there. `files` outlive the listener; they are looked at each second.
  Result<void> listen_tls(const std::string& address, TlsFiles& files,
                          const ListenOptions& options = {});
  Result<void> adopt(int fd) { return acceptor_.adopt(fd); }
  std::uint16_t port() const {
    return acceptor_.port() != 0 ? acceptor_.port() : tls_acceptor_.port();
  }

  // Takes no new clients; those connected stay.
  void stop_accepting();
  // Ends every connection after its unsent output; for shutdown.
  void close_all();
  std::size_t connections() const { return connections_.size(); }

  void on_accept(int fd, bool is_unix) override;
  void on_turn_end(Now now) override;
  void on_tick(Now now) override;

 private:
  class Connection;
  struct TlsDoor final : AcceptTarget {
    explicit TlsDoor(RespListener& listener) : owner(listener) {}
    void on_accept(int fd, bool is_unix) override;
    RespListener& owner;
  };
  void accept(int fd, bool is_unix, std::unique_ptr<TlsStream> tls);  // nullptr: none
  void bury(Connection& connection);
  void recycle(std::string& buffer);
  // Takes one of this turn's handshakes; false: none is left. One costs as much as a hundred
  // commands: many at once leave the loop to others.
  bool take_handshake() { return handshakes_left_ > 0 && handshakes_left_-- > 0; }

  Loop& loop_;
  CallHandler& handler_;
  Counters& counters_;
  PortContext& context_;
  Acceptor acceptor_;
  TlsDoor tls_door_;
  Acceptor tls_acceptor_;
  TlsFiles* tls_files_ = nullptr;  // nullptr: nothing listens for TLS
  std::int64_t next_files_us_ = 0;
  int handshakes_left_ = 0;  // in this turn
  static constexpr int kHandshakesPerTurn = 2;
  std::vector<Connection*> connections_;
  std::vector<Connection*> dirty_;     // have output to send
  std::vector<Connection*> resuming_;  // want to parse on
  std::vector<Connection*> dead_;      // closed; destroyed at the turn's end
  std::vector<Connection*> batch_;     // the list being worked on
  std::vector<std::string> buffers_;   // output buffers not in use
  std::size_t sweep_at_ = 0;
  // Output buffers kept for reuse: an idle connection holds none.
  static constexpr std::size_t kKeptBuffers = 64;
  static constexpr std::size_t kKeptBufferBytes = 128u << 10;
};

}  // namespace stayd
