// One connection by name, made by name_dialer.h: resolves, tries the addresses, then passes on what
// the connection to one of them brings. Sans-I/O; the dialer outlives it. Loop thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "redis/name_dialer.h"

namespace stayd {

class NameTransport final : public Transport, private TransportEvents {
 public:
  NameTransport(NameDialer& dialer, std::uint64_t id, Endpoint endpoint, std::int64_t deadline_us,
                TransportEvents& events);
  ~NameTransport() override;

  void write(std::string_view bytes) override;
  std::size_t unsent_bytes() const override;
  void close(bool reset) override;

 private:
  friend class NameDialer;
  // failed: over, and the event is due.
  enum class State : std::uint8_t { resolving, connecting, open, failed, closed };

  void connect(Addresses addresses);  // to the first of them that answers; not empty
  void connect_next();
  // That is being tried, or was reached. Requires: connect() was called.
  const Address& address() const { return addresses_[next_address_ - 1]; }
  void check_deadline();
  void fail(CloseReason reason, std::string detail);
  void tell_end();  // of one that has failed; may destroy it
  void note_end();

  void on_connected() override;
  void on_bytes(std::string_view bytes) override { events_.on_bytes(bytes); }
  void on_closed(CloseReason reason, std::string_view detail) override;

  NameDialer& dialer_;
  const std::uint64_t id_;
  const Endpoint endpoint_;
  TransportEvents& events_;
  const std::int64_t dialled_us_;
  const std::int64_t deadline_us_;  // to connect
  std::int64_t opened_us_ = 0;
  std::int64_t share_until_us_ = 0;  // of the address that is being tried
  Addresses addresses_;
  std::size_t next_address_ = 0;
  std::unique_ptr<Transport> below_;  // to address()
  std::string early_;                 // written before it was open, as Transport allows
  State state_ = State::resolving;
  CloseReason reason_ = CloseReason::other;
  std::string detail_;
};

}  // namespace stayd
