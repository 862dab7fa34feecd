#include "net/socket_transport.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace stayd {
namespace {

constexpr int kReadsPerWakeUp = 4;
constexpr std::size_t kCompactBytes = 1u << 20;
constexpr std::size_t kKeptOutput = 256u << 10;

CloseReason reason_of(int error) {
  switch (error) {
    case ECONNREFUSED:
    case ENOENT:
      return CloseReason::refused;
    case ETIMEDOUT:
      return CloseReason::timeout;
    case ECONNRESET:
    case EPIPE:
      return CloseReason::reset;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return CloseReason::local;
    default:
      return CloseReason::other;
  }
}

void set_options(int fd) {
  const auto set = [fd](int level, int name, int value) {
    setsockopt(fd, level, name, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 5000);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 5);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 2);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
}

}  // namespace

SocketTransport::SocketTransport(SocketDialer& dialer, std::uint64_t id, TransportEvents& events,
                                 std::int64_t deadline_us)
    : dialer_(dialer), loop_(dialer.loop_), events_(events), id_(id), deadline_us_(deadline_us) {}

SocketTransport::~SocketTransport() {
  if (alive_ != nullptr) *alive_ = false;
  close(true);
  dialer_.forget(*this);
}

void SocketTransport::connect(const Address& address) {
  const int family = address.storage.ss_family;
  fd_ = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return fail_errno(errno);
  if (family != AF_UNIX) set_options(fd_);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address.storage);
  if (::connect(fd_, generic, address.size) == 0) return connected();
  if (errno != EINPROGRESS) return fail_errno(errno);
  watched_ = EPOLLOUT;
  loop_.watch(fd_, *this, watched_);
}

void SocketTransport::connected() {
  state_ = State::open;
  connect_event_ = true;
  if (watched_ == 0) {
    watched_ = EPOLLIN;
    loop_.watch(fd_, *this, watched_);
  }
  update_events();
  loop_.request_turn_end(*this);
}

void SocketTransport::write(std::string_view bytes) {
  if (state_ == State::closed || failed_ || send_broken_) return;
  out_.append(bytes);
  loop_.request_turn_end(*this);
}

void SocketTransport::close(bool reset) {
  if (!reset && state_ == State::open && unsent_bytes() > 0) flush();
  drop_socket(reset);
  state_ = State::closed;
  connect_event_ = failed_ = false;
  loop_.cancel_turn_end(*this);
}

void SocketTransport::drop_socket(bool reset) {
  if (fd_ < 0) return;
  if (watched_ != 0) loop_.unwatch(fd_, *this);
  watched_ = 0;
  if (reset) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  ::close(fd_);
  fd_ = -1;
}

void SocketTransport::fail_errno(int error) {
  fail(reason_of(error), std::strerror(error));
}

void SocketTransport::fail(CloseReason reason, std::string detail) {
  if (failed_ || state_ == State::closed) return;
  drop_socket(false);
  failed_ = true;
  reason_ = reason;
  detail_ = std::move(detail);
  loop_.request_turn_end(*this);
}

void SocketTransport::check_deadline(Now now) {
  if (failed_ || state_ != State::connecting || now.mono_us < deadline_us_) return;
  fail(CloseReason::timeout, "connection timed out");
}

void SocketTransport::on_turn_end(Now) {
  if (connect_event_) {
    connect_event_ = false;
    bool alive = true;
    alive_ = &alive;
    events_.on_connected();
    if (!alive) return;
    alive_ = nullptr;
  }
  if (failed_ && state_ != State::closed) {
    state_ = State::closed;
    failed_ = false;
    events_.on_closed(reason_, detail_);  // may destroy us
    return;
  }
  if (state_ == State::open) flush();
}

void SocketTransport::on_ready(std::uint32_t epoll_events) {
  if (state_ == State::connecting) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    return error == 0 ? connected() : fail_errno(error);
  }
  if (state_ != State::open || failed_) return;
  if ((epoll_events & EPOLLOUT) != 0) flush();
  if ((epoll_events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read();
}

void SocketTransport::read() {
  // on_connected comes first, even when the server's bytes are faster than the turn's end.
  if (connect_event_) return;
  for (int i = 0; i < kReadsPerWakeUp; ++i) {
    if (fd_ < 0) return;
    const ssize_t got = ::recv(fd_, loop_.buffer(), Loop::kBufferBytes, 0);
    if (got > 0) {
      const auto size = static_cast<std::size_t>(got);
      bool alive = true;
      alive_ = &alive;
      events_.on_bytes(std::string_view(loop_.buffer(), size));
      if (!alive) return;
      alive_ = nullptr;
      if (size < Loop::kBufferBytes) return;
    } else if (got == 0) {
      if (send_broken_) return fail(reason_, detail_);
      return fail(CloseReason::eof, "closed by the server");
    } else if (errno != EINTR) {
      if (errno != EAGAIN) fail_errno(errno);
      return;
    }
  }
}

void SocketTransport::flush() {
  while (unsent_bytes() > 0 && !send_broken_ && fd_ >= 0) {
    const ssize_t put =
        ::send(fd_, out_.data() + sent_, unsent_bytes(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put > 0) {
      sent_ += static_cast<std::size_t>(put);
    } else if (put < 0 && errno == EAGAIN) {
      break;
    } else if (put < 0 && errno != EINTR) {
      // Replies that have arrived still count; the end follows as EOF or error of the next read.
      send_broken_ = true;
      reason_ = reason_of(errno);
      detail_ = std::strerror(errno);
      sent_ = out_.size();
    }
  }
  if (unsent_bytes() == 0) {
    sent_ = 0;
    out_.clear();
    if (out_.capacity() > kKeptOutput) std::string().swap(out_);
  } else if (sent_ >= kCompactBytes) {
    out_.erase(0, sent_);
    sent_ = 0;
  }
  update_events();
}

void SocketTransport::update_events() {
  if (fd_ < 0 || state_ != State::open) return;
  const bool full = unsent_bytes() > 0 && !connect_event_;
  const std::uint32_t events = EPOLLIN | (full ? EPOLLOUT : 0U);
  if (events == watched_) return;
  watched_ = events;
  loop_.rewatch(fd_, *this, events);
}

}  // namespace stayd
