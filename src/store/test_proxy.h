// For tests: what stands between a stayd and its database: an address that can lead to another
// server (a virtual IP, a name), or change what is said on the way. TCP on loopback; a thread of
// its own, ended by the destructor.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace stayd::test {

class TestProxy {
 public:
  explicit TestProxy(int server_port) : server_port_(server_port) {
    sockaddr_in address = loopback(0);
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(listener_, 16);
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~TestProxy() {
    stopping_ = true;
    thread_.join();
    for (const Way& way : ways_) close(way);
    ::close(listener_);
  }
  TestProxy(const TestProxy&) = delete;
  TestProxy& operator=(const TestProxy&) = delete;

  int port() const { return port_; }
  // New connections go there; those that stand stay.
  void lead_to(int server_port) { server_port_ = server_port; }
  // From now on the client is understood to say `to` where it says `from`, which is as long.
  void replace(std::string from, std::string to) {
    const std::lock_guard lock(mutex_);
    replaced_ = {std::move(from), std::move(to)};
  }

 private:
  struct Way {
    int client = -1, server = -1;
  };
  static sockaddr_in loopback(int port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    out.sin_port = htons(static_cast<std::uint16_t>(port));
    return out;
  }
  static void close(const Way& way) {
    ::close(way.client);
    ::close(way.server);
  }

  void run() {
    while (!stopping_) {
      std::vector<pollfd> waiting{{listener_, POLLIN, 0}};
      for (const Way& way : ways_) {
        waiting.push_back({way.client, POLLIN, 0});
        waiting.push_back({way.server, POLLIN, 0});
      }
      ::poll(waiting.data(), waiting.size(), 20);
      std::size_t i = 1;
      for (auto way = ways_.begin(); way != ways_.end(); i += 2) {
        const bool open = (waiting[i].revents == 0 || pass(way->client, way->server, true)) &&
                          (waiting[i + 1].revents == 0 || pass(way->server, way->client, false));
        if (!open) close(*way);
        way = open ? std::next(way) : ways_.erase(way);
      }
      if (waiting[0].revents != 0) accept();
    }
  }

  void accept() {
    Way way;
    way.client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    way.server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(server_port_);
    if (::connect(way.server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      ways_.push_back(way);
    } else {
      close(way);
    }
  }

  // False: one of them has hung up.
  bool pass(int from, int to, bool from_client) {
    std::string bytes(65536, '\0');
    const ssize_t got = ::recv(from, bytes.data(), bytes.size(), 0);
    if (got <= 0) return false;
    bytes.resize(static_cast<std::size_t>(got));
    const std::lock_guard lock(mutex_);
    const std::size_t at =
        from_client && !replaced_.first.empty() ? bytes.find(replaced_.first) : std::string::npos;
    if (at != std::string::npos) bytes.replace(at, replaced_.second.size(), replaced_.second);
    for (std::size_t sent = 0; sent < bytes.size();) {
      const ssize_t now = ::send(to, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (now <= 0) return false;
      sent += static_cast<std::size_t>(now);
    }
    return true;
  }

  const int listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int port_ = 0;
  std::atomic<int> server_port_;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::pair<std::string, std::string> replaced_;
  std::list<Way> ways_;  // the thread's
  std::thread thread_;
};

}  // namespace stayd::test
