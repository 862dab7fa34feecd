// Tiny blocking clients for the command line (`check`, `status`): one connection, one deadline,
// never used by the server. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
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

  Result<void> send(std::string_view bytes);
  // At least one byte, or "" at the end of the stream.
  Result<std::string> receive();

 private:
  BlockingSocket(int fd, std::int64_t deadline_ms) : fd_(fd), deadline_ms_(deadline_ms) {}
  Result<void> wait(short events);

  int fd_;
  std::int64_t deadline_ms_;  // monotonic
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
