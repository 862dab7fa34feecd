// Listening sockets: made from an address text, or inherited. Loop thread only.
//
// Ownership: owns its descriptors and closes them; a unix socket's file is removed on close unless
// the socket was inherited. The target outlives the acceptor.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "net/loop.h"

namespace stayd {

struct ListenOptions {
  int backlog = 4096;       // the kernel caps it at net.core.somaxconn
  mode_t unix_mode = 0660;  // of a unix socket's file
};

class AcceptTarget {
 public:
  virtual ~AcceptTarget() = default;
  // Owns `fd` (non-blocking, close-on-exec) from now on.
  virtual void on_accept(int fd, bool is_unix) = 0;
};

class Acceptor {
 public:
  Acceptor(Loop& loop, AcceptTarget& target);
  ~Acceptor();

  // "127.0.0.1:6380", "[::1]:6380", ":6380" (all addresses, both families), "unix:/run/x.sock".
  // Port 0 takes a free one. Names are resolved, blocking: start-up only.
  Result<void> listen(const std::string& address, const ListenOptions& options = {});
  // An already listening socket (LISTEN_FDS).
  Result<void> adopt(int fd);
  // The port of the first TCP socket; 0 without one.
  std::uint16_t port() const;
  void close();

 private:
  class Socket;
  Result<void> listen_unix(const std::string& path, const ListenOptions& options);
  void add(int fd, bool is_unix, std::string unlink_path);
  void accept_all(Socket& socket);
  void refuse_one(int fd);

  Loop& loop_;
  AcceptTarget& target_;
  std::vector<std::unique_ptr<Socket>> sockets_;
  int reserve_fd_ =
      -1;  // given up for a moment at EMFILE, so that the peer sees a close and not a hang
};

// The descriptors handed over by a service manager: 3 .. 3 + LISTEN_FDS - 1, when LISTEN_PID is us.
// Unsets the variables.
std::vector<int> inherited_listen_fds();

// "address:port" of a socket's own or peer's end; for a unix socket its path with ":0".
std::string socket_text(int fd, bool peer);

}  // namespace stayd
