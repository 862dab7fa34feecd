// One connection to Redis over a real socket, made by socket_dialer.h: implements
// redis/transport.h. Output written during a loop turn leaves in one send() at its end.
//
// Ownership: the dialer outlives its transports. Loop thread only.
#pragma once

#include <cstdint>
#include <string>

#include "base/address.h"
#include "net/loop.h"
#include "net/socket_dialer.h"
#include "redis/transport.h"

namespace stayd {

class SocketTransport final : public Transport, public Pollable, public TurnEnd {
 public:
  SocketTransport(SocketDialer& dialer, std::uint64_t id, TransportEvents& events,
                  std::int64_t deadline_us);
  ~SocketTransport() override;

  void write(std::string_view bytes) override;
  std::size_t unsent_bytes() const override { return out_.size() - sent_; }
  void close(bool reset) override;

  void on_ready(std::uint32_t epoll_events) override;
  void on_turn_end(Now now) override;

 private:
  friend class SocketDialer;
  enum class State : std::uint8_t { connecting, open, closed };

  void connect(const Address& address);
  void connected();
  void read();
  void flush();
  void fail(CloseReason reason, std::string detail);  // the event comes at the turn's end
  void fail_errno(int error);
  void check_deadline(Now now);
  void drop_socket(bool reset);
  void update_events();

  SocketDialer& dialer_;
  Loop& loop_;
  TransportEvents& events_;
  std::uint64_t id_;
  std::int64_t deadline_us_;  // to connect
  std::string out_;
  std::size_t sent_ = 0;
  int fd_ = -1;
  std::uint32_t watched_ = 0;
  State state_ = State::connecting;
  bool connect_event_ = false;  // on_connected is due
  bool failed_ = false;         // on_closed is due
  bool send_broken_ = false;    // what has arrived is still read
  CloseReason reason_ = CloseReason::other;
  std::string detail_;
  bool* alive_ = nullptr;  // set to false by the destructor, for callbacks that destroy us
};

}  // namespace stayd
