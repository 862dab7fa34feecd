// A connection to one of a primary's replicas at a time, made while it is needed
// (core/replica_reads.h).
//
//   open() ─▶ the first address ─▶ the next, when one fails or is lost ─▶ ... all have: pause
//             closed: worth waiting for                                    open, 1 s
//             ▲ up again                  half-open: each is tried once ◀──┘
//
// Sans-I/O on a Dialer; loop thread only. What it is given outlives it. Its connections are none of
// those that are counted as connections to Redis.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/replica.h"
#include "redis/link.h"

namespace stayd {

class ReplicaLink final : public Replica, private UpstreamEvents {
 public:
  static constexpr std::int64_t kPauseMs = 1'000;

  // `link`: as for the primary.
  ReplicaLink(LinkOptions link, Dialer& dialer, UpstreamEvents& events, Random& random);

  void on_tick(Now now);

  // As Link's.
  void log_in_with(Credentials* credentials, bool tls) {
    options_.credentials = credentials;
    options_.tls = tls;
  }

  void set_addresses(std::vector<std::string> addresses) override;
  void open(Now now) override;
  void close() override { open_ = false; }
  void doubt() override { probing_ = true; }
  bool reachable() const override { return open_ && (up() || !probing_); }
  const std::string& address() const override { return address_; }

  bool up() const override { return link_ && !ended_ && link_->up(); }
  void send(std::string_view request, int db, ReplyHandler& handler, std::uint64_t tag,
            std::int64_t deadline_us, std::uint32_t replies, Order order) override {
    link_->send(request, db, handler, tag, deadline_us, replies, order);
  }
  void condemn(std::string_view cause) override {
    if (link_) link_->condemn(cause);
  }
  std::size_t pending() const override { return link_ ? link_->pending() : 0; }

 private:
  void on_upstream_up(const GateFacts& facts) override;
  void on_upstream_down(bool never_up, std::string_view cause) override;
  void on_upstream_push(std::string_view) override {}
  void dial();

  LinkOptions options_;
  Dialer& dialer_;
  UpstreamEvents& events_;
  Random& random_;
  Counters of_link_;
  Now now_;
  std::vector<std::string> addresses_;
  std::size_t next_ = 0;  // of these
  std::string address_;
  std::unique_ptr<Link> link_;  // nullptr: none is made or up
  bool ended_ = false;          // it is to be freed: not inside its own callback
  bool open_ = false;
  bool probing_ = false;      // all have failed, or are slow, since the last one was up
  std::size_t failures_ = 0;  // since the last pause
  std::int64_t next_dial_us_ = 0;
};

}  // namespace stayd
