// What tests on real sockets share. The loop runs on the test's thread; waits end when the
// condition holds, or fail after 5 s.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "core/call.h"
#include "net/loop.h"

namespace stayd {

template <class Condition>
bool run_until(Loop& loop, Condition condition) {
  const Now start = loop.now();
  while (!condition()) {
    loop.run_once(50);
    if (loop.now().mono_us - start.mono_us > 5'000'000) return false;
  }
  return true;
}

// Answers a command with its first argument.
struct EchoEngine final : CallHandler {
  void submit(Call& call) override {
    reply_ = call.args.size() > 1 ? "$" + std::to_string(call.args[1].size()) + "\r\n" +
                                        std::string(call.args[1]) + "\r\n"
                                  : "+OK\r\n";
    if (!big_reply.empty()) reply_ = big_reply;
    call.sink->on_reply(call, reply_);
  }
  bool redis_answers() const override { return true; }
  void client_gone(std::uint64_t) override { ++gone; }
  std::string reply_;
  std::string big_reply;  // the answer to everything, when set
  int gone = 0;
};

// A server that is only a socket: the kernel takes `backlog` connections, nobody accepts them.
class RawListener {
 public:
  explicit RawListener(int backlog) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    const bool listens = ::bind(fd_, generic, size) == 0 && ::listen(fd_, backlog) == 0;
    if (listens && getsockname(fd_, generic, &size) == 0) port = ntohs(address.sin_port);
  }
  ~RawListener() { ::close(fd_); }
  RawListener(const RawListener&) = delete;
  RawListener& operator=(const RawListener&) = delete;

  bool has_one() const {
    pollfd one{.fd = fd_, .events = POLLIN, .revents = 0};
    return ::poll(&one, 1, 0) == 1;
  }
  std::uint16_t port = 0;  // 0: it does not listen

 private:
  int fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

}  // namespace stayd
