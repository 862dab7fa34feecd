// Tiny blocking clients for the command line (`check`, `status`): one connection, one deadline,
// never used by the server. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "net/tls.h"
#include "redis/transport.h"
#include "resp/reply.h"

namespace stayd {

class BlockingSocket {
 public:
  // Resolves and connects. `timeout_ms` is the budget of everything done with this socket.
  // Errors: unavailable, with a sentence ("cache:6379: Connection refused").
  static Result<BlockingSocket> connect(const Endpoint& endpoint, std::int64_t timeout_ms);
  BlockingSocket(BlockingSocket&& other) noexcept;
  BlockingSocket& operator=(BlockingSocket&&) = delete;
  ~BlockingSocket();

  // Everything goes over TLS from now on. Errors: unavailable.
  Result<void> secure(const TlsContext& context, const std::string& host);
  Result<void> send(std::string_view bytes);
  // At least one byte, or "" at the end of the stream.
  Result<std::string> receive();
  // The end of the server's certificate, seconds since the epoch; 0: none, or not known.
  std::int64_t certificate_ends_s() const { return tls_ ? tls_->not_after_s() : 0; }

 private:
  BlockingSocket(int fd, std::int64_t deadline_ms) : fd_(fd), deadline_ms_(deadline_ms) {}
  Result<void> wait(short events);
  Result<void> send_raw(std::string_view bytes);
  Result<std::string> receive_raw();

  int fd_;
  std::int64_t deadline_ms_;  // monotonic
  std::unique_ptr<TlsStream> tls_;
};

class RedisProbe {
 public:
  explicit RedisProbe(BlockingSocket socket) : socket_(std::move(socket)) {}
  // The reply's frame, error replies included. Errors: unavailable.
  Result<std::string> call(const std::vector<std::string_view>& arguments);

 private:
  BlockingSocket socket_;
  FrameScanner scanner_;
  std::string buffer_;
};

struct HttpAnswer {
  int status = 0;
  std::string body;
};
// One request without a body, and its whole answer. Errors: unavailable.
Result<HttpAnswer> http_request(const Endpoint& endpoint, std::string_view method,
                                std::string_view path, std::int64_t timeout_ms);

}  // namespace stayd
