// One connection to Redis over a real socket, made by socket_dialer.h: implements
// redis/transport.h. Output written during a loop turn leaves in one send() at its end.
//
// Ownership: the dialer outlives its transports. Loop thread only.
#pragma once

#include <cstdint>
#include <string>

#include "net/loop.h"
#include "net/name_resolver.h"
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
  enum class State : std::uint8_t { resolving, connecting, open, closed };

  // To the first of them that answers; not empty.
  void connect(Addresses addresses);
  void connect_next();
  // That is being tried, or was reached. Requires: connect() was called.
  const Address& address() const { return addresses_[next_address_ - 1]; }
  void try_failed();
  void connected();
  void read();
  void flush();
  void fail(CloseReason reason, std::string detail);  // the event comes at the turn's end
  void fail_errno(int error);
  void note_end();
  void check_deadline(Now now);
  void drop_socket(bool reset);
  void update_events();

  SocketDialer& dialer_;
  Loop& loop_;
  TransportEvents& events_;
  std::uint64_t id_;
  std::string host_;  // by which it was dialled; empty: by address, or a unix socket
  std::uint16_t port_ = 0;
  std::int64_t dialled_us_;
  std::int64_t deadline_us_;  // to connect
  std::int64_t opened_us_ = 0;
  std::int64_t share_until_us_ = 0;  // of the address that is being tried
  Addresses addresses_;
  std::size_t next_address_ = 0;
  std::string out_;
  std::size_t sent_ = 0;
  int fd_ = -1;
  std::uint32_t watched_ = 0;
  State state_ = State::resolving;
  bool connect_event_ = false;  // on_connected is due
  bool failed_ = false;         // on_closed is due
  bool send_broken_ = false;    // what has arrived is still read
  CloseReason reason_ = CloseReason::other;
  std::string detail_;
  bool* alive_ = nullptr;  // set to false by the destructor, for callbacks that destroy us
};

}  // namespace stayd
