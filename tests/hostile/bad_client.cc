#include "tests/hostile/bad_client.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace stayd::hostile {
namespace {

constexpr std::string_view kSet = "*3\r\n$3\r\nSET\r\n$8\r\nhostile:\r\n$5\r\nhello\r\n";
constexpr std::string_view kGetBig = "*2\r\n$3\r\nGET\r\n$11\r\nhostile-big\r\n";
constexpr std::string_view kPing = "PING\r\n";
constexpr std::size_t kPingReply = 7;  // +PONG and its line end
constexpr std::size_t kChunk = 16u << 10;
constexpr int kSmallBuffer = 4096;

}  // namespace

std::string_view name_of(Badness badness) {
  static constexpr std::array<std::string_view, kBadnesses> names = {
      "slowloris",        "never reads",       "huge length",    "half command",
      "endless pipeline", "many elements",     "inline garbage", "HTTP",
      "random bytes",     "connect and close", "TLS ClientHello"};
  return names[static_cast<std::size_t>(badness)];
}

bool BadClient::dial(std::uint16_t port) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) return false;
  if (!reads()) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &kSmallBuffer, sizeof kSmallBuffer);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int status = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (status == 0 || errno == EINPROGRESS) return true;
  close();
  return false;
}

void BadClient::close() {
  if (fd_ < 0) return;
  if (badness_ == Badness::connect_and_close && random_.chance(50)) {
    const linger reset{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  ::close(fd_);
  fd_ = -1;
  out_ = {};
  sent_ = unanswered_ = 0;
  begun_ = false;
}

bool BadClient::act() {
  if (badness_ == Badness::connect_and_close) return false;
  if (sent_ == out_.size()) {
    out_.clear();
    sent_ = 0;
    prepare();
  }
  return flush();
}

// What it sends next.
void BadClient::prepare() {
  const bool first = !begun_;
  begun_ = true;
  switch (badness_) {
    case Badness::slowloris:
      out_ = kSet;
      return;
    case Badness::never_reads:
      for (int i = 0; i < 10; ++i) out_ += kGetBig;
      return;
    case Badness::huge_length:
      if (first) out_ = "*2\r\n$3\r\nGET\r\n$15000000\r\n";
      out_.append(kChunk, 'x');
      return;
    case Badness::half_command:
      if (first) out_ = kSet.substr(0, 25);
      return;
    case Badness::endless_pipeline:
      if (unanswered_ > 0) return;
      for (int i = 0; i < 50; ++i) out_ += kPing;
      unanswered_ = 50 * kPingReply;
      return;
    case Badness::many_elements:
      if (first) out_ = "*1000000\r\n";
      for (int i = 0; i < 500; ++i) out_ += "$1\r\nk\r\n";
      return;
    case Badness::inline_garbage:
      out_ = "nonsense \"in lines\" " + std::to_string(random_.next()) + "\r\n";
      return;
    case Badness::http:
      out_ = random_.chance(50) ? "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
                                : "POST /login HTTP/1.1\r\nContent-Length: 9\r\n\r\nSET a b\r\n";
      return;
    case Badness::tls:
      if (first) out_ = std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
      [[fallthrough]];
    case Badness::random_bytes:
      for (int i = 0; i < 200; ++i) out_ += static_cast<char>(random_.next());
      return;
    case Badness::connect_and_close:
      return;
  }
}

bool BadClient::flush() {
  std::size_t left = out_.size() - sent_;
  if (badness_ == Badness::slowloris) left = std::min<std::size_t>(left, 1);
  if (left == 0) return true;
  const ssize_t put = ::send(fd_, out_.data() + sent_, left, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (put < 0) return errno == EAGAIN || errno == ENOTCONN;
  sent_ += static_cast<std::size_t>(put);
  return true;
}

bool BadClient::read() {
  char chunk[65536];
  const ssize_t got = ::recv(fd_, chunk, sizeof chunk, MSG_DONTWAIT);
  if (got <= 0) return got < 0 && errno == EAGAIN;
  unanswered_ -= std::min(unanswered_, static_cast<std::size_t>(got));
  return true;
}

}  // namespace stayd::hostile
