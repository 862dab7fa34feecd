// Connections to Redis over real sockets: implements redis/transport.h. Output written during a
// loop turn leaves in one send() at its end.
//
// Names are resolved on Asio's resolver thread, one question at a time, and cached; when the answer
// is an error, or late, the last good list is used: an outage of DNS is not an outage of Redis.
//
// Ownership: the dialer outlives its transports. Loop thread only.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/loop.h"
#include "redis/transport.h"

namespace stayd {

class SocketTransport;

class AsioDialer final : public Dialer, public Ticker {
 public:
  static constexpr std::int64_t kResolveTtlUs = 5'000'000;
  // A name server is waited for so long while a last good list is there: a part of connect_timeout.
  static constexpr std::int64_t kResolvePatienceUs = 200'000;

  explicit AsioDialer(Loop& loop);
  ~AsioDialer() override;

  std::unique_ptr<Transport> dial(const Endpoint& endpoint, std::int64_t connect_timeout_ms,
                                  TransportEvents& events) override;
  void on_tick(Now now) override;  // deadlines of names and connects

 private:
  friend class SocketTransport;
  struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
  };
  using Addresses = std::vector<Address>;
  struct Waiting {
    std::uint64_t transport;
    std::int64_t since_us;
  };
  struct Name {
    Addresses addresses;  // the last good list
    std::int64_t resolved_us = 0;
    bool asking = false;
    std::vector<Waiting> waiting;  // for the answer; those that have given up go at the next tick
  };
  struct Resolver;

  void resolve(const std::string& host, std::uint16_t port, std::uint64_t transport);
  void on_resolved(const std::string& key, Addresses found, const std::string& error);
  void connect(std::uint64_t transport, const Addresses& addresses, const std::string& error);
  void forget(SocketTransport& transport);

  Loop& loop_;
  std::unique_ptr<Resolver> resolver_;
  std::map<std::string, Name> names_;  // by "host:port", all from the configuration
  std::map<std::uint64_t, SocketTransport*> live_;
  std::uint64_t next_id_ = 1;
};

class SocketTransport final : public Transport, public Pollable, public TurnEnd {
 public:
  SocketTransport(AsioDialer& dialer, std::uint64_t id, TransportEvents& events,
                  std::int64_t deadline_us);
  ~SocketTransport() override;

  void write(std::string_view bytes) override;
  std::size_t unsent_bytes() const override { return out_.size() - sent_; }
  void close(bool reset) override;

  void on_ready(std::uint32_t epoll_events) override;
  void on_turn_end(Now now) override;

 private:
  friend class AsioDialer;
  enum class State : std::uint8_t { resolving, connecting, open, closed };

  void connect(std::vector<AsioDialer::Address> addresses);
  void connect_next();
  void connected();
  void read();
  void flush();
  void fail(CloseReason reason, std::string detail);  // the event comes at the turn's end
  void fail_errno(int error);
  void check_deadline(Now now);
  void drop_socket(bool reset);
  void update_events();

  AsioDialer& dialer_;
  Loop& loop_;
  TransportEvents& events_;
  std::uint64_t id_;
  std::int64_t deadline_us_;
  std::vector<AsioDialer::Address> addresses_;
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
