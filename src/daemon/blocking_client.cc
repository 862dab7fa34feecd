#include "daemon/blocking_client.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "base/real_time.h"
#include "daemon/units.h"

namespace stayd {

namespace {

constexpr std::size_t kMaxAnswer = 64u << 20;

std::int64_t mono_ms() {
  return real_now().mono_us / 1000;
}

Error unavailable(std::string_view what, int error) {
  return make_error(Errc::unavailable, fmt::format("{}: {}", what, std::strerror(error)));
}

// Connects a non-blocking socket; 0, or errno.
int connect_to(int fd, const sockaddr* address, socklen_t size, std::int64_t deadline_ms) {
  if (::connect(fd, address, size) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  pollfd waiting{fd, POLLOUT, 0};
  const auto left = std::max<std::int64_t>(0, deadline_ms - mono_ms());
  if (::poll(&waiting, 1, static_cast<int>(left)) <= 0) return ETIMEDOUT;
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  return error;
}

int new_socket(int family) {
  return ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

Result<int> connect_unix(const std::string& path, std::int64_t deadline_ms) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return unavailable(path, ENAMETOOLONG);
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = new_socket(AF_UNIX);
  if (fd < 0) return unavailable(path, errno);
  const int error =
      connect_to(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address, deadline_ms);
  if (error == 0) return fd;
  ::close(fd);
  return unavailable(path, error);
}

Result<int> connect_tcp(const Endpoint& endpoint, std::int64_t deadline_ms) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(endpoint.port);
  if (const int code = ::getaddrinfo(endpoint.host.c_str(), port.c_str(), &hints, &found)) {
    return make_error(Errc::unavailable,
                      fmt::format("{}: {}", endpoint.text(), ::gai_strerror(code)));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  int error = EHOSTUNREACH;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    const int fd = new_socket(one->ai_family);
    if (fd < 0) return unavailable(endpoint.text(), errno);
    error = connect_to(fd, one->ai_addr, one->ai_addrlen, deadline_ms);
    if (error == 0) return fd;
    ::close(fd);
  }
  return unavailable(endpoint.text(), error);
}

}  // namespace

Result<BlockingSocket> BlockingSocket::connect(const Endpoint& endpoint, std::int64_t timeout_ms) {
  const std::int64_t deadline_ms = mono_ms() + timeout_ms;
  const auto fd = endpoint.unix_path.empty() ? connect_tcp(endpoint, deadline_ms)
                                             : connect_unix(endpoint.unix_path, deadline_ms);
  if (!fd) return fd.error();
  return BlockingSocket(*fd, deadline_ms);
}

BlockingSocket::BlockingSocket(BlockingSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      deadline_ms_(other.deadline_ms_),
      tls_(std::move(other.tls_)) {}

BlockingSocket::~BlockingSocket() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> BlockingSocket::wait(short events) {
  pollfd waiting{fd_, events, 0};
  const auto left = std::max<std::int64_t>(0, deadline_ms_ - mono_ms());
  if (::poll(&waiting, 1, static_cast<int>(left)) > 0) return {};
  return make_error(Errc::unavailable, "no answer in time");
}

Result<void> BlockingSocket::secure(const TlsContext& context, const std::string& host) {
  tls_ = std::make_unique<TlsStream>(context, host);
  tls_->start();
  while (!tls_->established()) {
    if (const auto sent = send_raw(tls_->take_output()); !sent) return sent.error();
    const auto cipher = receive_raw();
    if (!cipher) {
      return make_error(Errc::unavailable,
                        "no answer to the TLS handshake: is this a port without TLS?");
    }
    if (cipher->empty()) return make_error(Errc::unavailable, "closed in the TLS handshake");
    std::string plain;  // Redis says nothing unasked
    if (const auto received = tls_->receive(*cipher, plain); !received) return received.error();
  }
  return send_raw(tls_->take_output());
}

Result<void> BlockingSocket::send(std::string_view bytes) {
  if (!tls_) return send_raw(bytes);
  tls_->send(bytes);
  return send_raw(tls_->take_output());
}

Result<std::string> BlockingSocket::receive() {
  if (!tls_) return receive_raw();
  std::string plain;
  while (plain.empty() && !tls_->ended()) {
    const auto cipher = receive_raw();
    if (!cipher || cipher->empty()) return cipher;
    if (const auto received = tls_->receive(*cipher, plain); !received) return received.error();
  }
  return plain;
}

Result<void> BlockingSocket::send_raw(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      if (const auto ready = wait(POLLOUT); !ready) return ready.error();
    } else if (errno != EINTR) {
      return unavailable("send", errno);
    }
  }
  return {};
}

Result<std::string> BlockingSocket::receive_raw() {
  std::string buffer(64u << 10, '\0');
  for (;;) {
    const ssize_t size = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (size >= 0) {
      buffer.resize(static_cast<std::size_t>(size));
      return buffer;
    }
    if (errno == EAGAIN) {
      if (const auto ready = wait(POLLIN); !ready) return ready.error();
    } else if (errno != EINTR) {
      return unavailable("receive", errno);
    }
  }
}

Result<std::string> RedisProbe::call(const std::vector<std::string_view>& arguments) {
  std::string request = fmt::format("*{}\r\n", arguments.size());
  for (const std::string_view argument : arguments) {
    request += fmt::format("${}\r\n{}\r\n", argument.size(), argument);
  }
  if (const auto sent = socket_.send(request); !sent) return sent.error();
  for (;;) {
    const auto outcome = scanner_.scan(buffer_);
    if (outcome.status == FrameScanner::Status::error) {
      return make_error(Errc::unavailable, "what answers does not speak Redis' protocol");
    }
    if (outcome.status == FrameScanner::Status::ready) {
      std::string frame = buffer_.substr(0, outcome.size);
      buffer_.erase(0, outcome.size);
      scanner_.reset();
      return frame;
    }
    auto more = socket_.receive();
    if (!more) return more.error();
    if (more->empty()) return make_error(Errc::unavailable, "the connection was closed");
    buffer_ += *more;
    if (buffer_.size() > kMaxAnswer) return make_error(Errc::unavailable, "the answer is too long");
  }
}

Result<HttpAnswer> http_request(const Endpoint& endpoint, std::string_view method,
                                std::string_view path, std::int64_t timeout_ms) {
  auto socket = BlockingSocket::connect(endpoint, timeout_ms);
  if (!socket) return socket.error();
  const auto sent =
      socket->send(fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                               "Stayd-Command: 1\r\nContent-Length: 0\r\n\r\n",
                               method, path));
  if (!sent) return sent.error();
  std::string text;
  for (;;) {
    const auto more = socket->receive();
    if (!more) return more.error();
    if (more->empty()) break;
    text += *more;
    if (text.size() > kMaxAnswer) return make_error(Errc::unavailable, "the answer is too long");
  }
  const std::size_t body = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.") || text.size() < 12 || body == std::string::npos) {
    return make_error(Errc::unavailable, "what answers does not speak HTTP");
  }
  HttpAnswer answer;
  answer.status = static_cast<int>(parse_integer(text.substr(9, 3)).value_or(0));
  answer.body = text.substr(body + 4);
  return answer;
}

}  // namespace stayd
