// One connection of the load: requests out, answers in, in order. Non-blocking; it is dialled again
// when it ends. Single thread; owns its socket.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "bench/load/sessions.h"
#include "resp/reply.h"

namespace stayd::load {

class Answers {
 public:
  virtual ~Answers() = default;
  virtual void on_answer(const Request& request, const ReplyView& reply) = 0;
  virtual void on_lost(const Request& request, std::string_view why) = 0;
};

class Connection {
 public:
  // Both outlive the connection. `epoll`: where its socket is registered, with `this` as data.
  Connection(int epoll, std::uint16_t port, Answers& answers)
      : epoll_(epoll), port_(port), answers_(answers) {}
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void send(const Request& request, std::string_view bytes);
  void on_events(std::uint32_t events);
  // Gives up what has not been answered.
  void abandon(std::string_view why);

 private:
  void dial();
  void flush();
  void receive();

  int epoll_;
  std::uint16_t port_;
  Answers& answers_;
  int fd_ = -1;
  bool connected_ = false;
  std::string out_;
  std::string in_;
  FrameScanner scanner_;
  std::deque<Request> pending_;
};

}  // namespace stayd::load
