#include "tests/differential/peer.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <utility>

namespace stayd::differential {
namespace {

constexpr int kSilence_ms = 30'000;

}  // namespace

Peer::Peer(std::string name, std::uint16_t port)
    : name_(std::move(name)), fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd_);
    throw std::runtime_error(name_ + " does not listen on port " + std::to_string(port));
  }
  const int yes = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

Peer::~Peer() {
  if (fd_ >= 0) ::close(fd_);
}

Peer::Peer(Peer&& other) noexcept
    : name_(std::move(other.name_)), fd_(std::exchange(other.fd_, -1)), in_(std::move(other.in_)) {}

Peer& Peer::operator=(Peer&& other) noexcept {
  std::swap(name_, other.name_);
  std::swap(fd_, other.fd_);
  std::swap(in_, other.in_);
  std::swap(scanner_, other.scanner_);
  return *this;
}

void Peer::receive(std::size_t count) {
  char chunk[65536];
  const ssize_t size = ::recv(fd_, chunk, sizeof chunk, MSG_DONTWAIT);
  if (size == 0) throw std::runtime_error(name_ + " closed the connection");
  if (size < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    throw std::runtime_error(name_ + ": the connection broke");
  }
  in_.append(chunk, static_cast<std::size_t>(size));
  std::size_t used = 0;
  while (replies_.size() < count) {
    const std::string_view rest = std::string_view(in_).substr(used);
    const auto outcome = scanner_.scan(rest);
    if (outcome.status == FrameScanner::Status::need_more) break;
    if (outcome.status == FrameScanner::Status::error) {
      throw std::runtime_error(name_ + " sent no RESP: " + std::string(outcome.error));
    }
    replies_.emplace_back(rest.substr(0, outcome.size));
    used += outcome.size;
  }
  in_.erase(0, used);
  if (replies_.size() == count && !in_.empty()) {
    throw std::runtime_error(name_ + " sent more replies than commands");
  }
}

void exchange(std::vector<Peer>& peers, std::string_view bytes, std::size_t count) {
  for (Peer& peer : peers) {
    peer.sent_ = 0;
    peer.replies_.clear();
  }
  while (true) {
    std::vector<pollfd> waiting;
    std::vector<Peer*> who;
    for (Peer& peer : peers) {
      const bool sending = peer.sent_ < bytes.size();
      if (!sending && peer.replies_.size() == count) continue;
      waiting.push_back({peer.fd_, static_cast<short>(POLLIN | (sending ? POLLOUT : 0)), 0});
      who.push_back(&peer);
    }
    if (waiting.empty()) return;
    if (::poll(waiting.data(), waiting.size(), kSilence_ms) == 0) {
      throw std::runtime_error(who.front()->name_ + " gives no reply");
    }
    for (std::size_t i = 0; i < who.size(); ++i) {
      Peer& peer = *who[i];
      if ((waiting[i].revents & POLLOUT) != 0) {
        const ssize_t put = ::send(peer.fd_, bytes.data() + peer.sent_, bytes.size() - peer.sent_,
                                   MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put > 0) peer.sent_ += static_cast<std::size_t>(put);
      }
      if ((waiting[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) peer.receive(count);
    }
  }
}

}  // namespace stayd::differential
