#include "bench/load/connection.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace stayd::load {

Connection::~Connection() {
  if (fd_ >= 0) ::close(fd_);
}

void Connection::dial() {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return abandon(fmt::format("socket: {}", std::strerror(errno)));
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLET;
  event.data.ptr = this;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd_, &event);
  const auto* to = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(fd_, to, sizeof address) != 0 && errno != EINPROGRESS) {
    abandon(fmt::format("connect: {}", std::strerror(errno)));
  }
}

void Connection::send(const Request& request, std::string_view bytes) {
  pending_.push_back(request);
  out_ += bytes;
  if (fd_ < 0) dial();
  if (connected_) flush();
}

void Connection::flush() {
  while (!out_.empty()) {
    const ssize_t sent = ::send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN) abandon(fmt::format("send: {}", std::strerror(errno)));
      return;
    }
    out_.erase(0, static_cast<std::size_t>(sent));
  }
}

void Connection::on_events(std::uint32_t events) {
  if (fd_ >= 0 && (events & EPOLLOUT) != 0) {
    connected_ = true;
    flush();
  }
  if (fd_ >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive();
}

void Connection::receive() {
  char buffer[65536];
  for (;;) {
    const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0) return abandon(got == 0 ? "connection closed" : std::strerror(errno));
    in_.append(buffer, static_cast<std::size_t>(got));
  }
  std::size_t from = 0;
  for (;;) {
    const std::string_view rest = std::string_view(in_).substr(from);
    const auto found = scanner_.scan(rest);
    if (found.status == FrameScanner::Status::need_more) break;
    if (found.status == FrameScanner::Status::error || pending_.empty()) {
      return abandon("not a reply, or not asked for");
    }
    const Request request = pending_.front();
    pending_.pop_front();
    from += found.size;
    answers_.on_answer(request, ReplyView(rest.substr(0, found.size)));
  }
  in_.erase(0, from);
}

void Connection::abandon(std::string_view why) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  connected_ = false;
  out_.clear();
  in_.clear();
  scanner_.reset();
  while (!pending_.empty()) {
    const Request request = pending_.front();
    pending_.pop_front();
    answers_.on_lost(request, why);
  }
}

}  // namespace stayd::load
