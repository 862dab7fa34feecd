// One connection to one Redis server: dial, gate, FIFO of expected replies, deadlines, redial.
//
//   dial ──▶ gate: HELLO 3 [AUTH] SETNAME, INFO, TIME in one write ──▶ up ──▶ down ──▶ (wait) dial
//   ...
//                    │ not a primary, LOADING, wrong password, silence
//                    └──▶ down
//
// Whom only the way to a primary is asked (a Sentinel, a node of a Cluster) has HELLO alone as
// gate. A sans-I/O state machine on an injected Transport; loop thread only. The link owns its
// transport; the owner of the link calls on_tick() every few milliseconds. Source:
// docs/architecture.md ("What is believed of Redis").
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/types.h"
#include "core/rules.h"
#include "core/upstream.h"
#include "observe/counters.h"
#include "redis/credentials.h"
#include "redis/transport.h"
#include "resp/reply.h"

namespace stayd {

struct LinkOptions {
  Endpoint endpoint;  // not known(): nothing is dialled until move_to()
  // What is logged in with; outlives the link. nullptr: nothing.
  Credentials* credentials = nullptr;
  std::string client_name = "stayd";
  std::int64_t connect_timeout_ms = 500;
  std::int64_t gate_deadline_ms = 500;
  std::int64_t first_retry_ms = 100;      // after a working connection was lost
  std::int64_t probe_interval_ms = 1000;  // while Redis is out: one probe at a time
  std::int64_t max_retry_ms = 30'000;     // reached only by flapping
  std::int64_t stable_after_ms = 10'000;  // up for this long: no flapping
  bool newest_password = false;           // a probe: never the password before (credentials.h)
  // Whether what becomes of its logins says something of the next ones at Redis (a replica may have
  // other passwords).
  bool judges_logins = true;
  bool require_primary = true;
  bool tls = false;  // the dialer speaks TLS: for what is told of failures
  // Who only tells where a primary is: knows neither TIME nor a role (a Sentinel), or may have any
  // (a node of a Cluster).
  bool hello_only = false;
  // Bytes queued towards Redis beyond which the connection is condemned: Redis has stopped reading.
  std::size_t max_unsent_bytes = 64u << 20;
  Rules rules;  // tests only
};

class Link final : public Upstream, private TransportEvents, private ReplyHandler {
 public:
  // All references outlive the link.
  Link(LinkOptions options, Dialer& dialer, UpstreamEvents& events, Counters& counters,
       Random& random);
  ~Link() override;

  void start(Now now);    // begins dialling; until then the link is idle
  void on_tick(Now now);  // deadlines, redial
  // Ends the connection in order and stops dialling.
  void stop();
  // Dials at the next tick, however long the wait would have been (a hint that Redis is back).
  void hurry() { next_dial_us_ = 0; }
  // Later connections log in with these, and are made over TLS or not: move_to() is about to
  // follow.
  void log_in_with(Credentials* credentials, bool tls) {
    options_.credentials = credentials;
    options_.tls = tls;
    not_serial_.reset();
  }
  // Redis is elsewhere: condemns the connection to where it was, and dials there at the next tick.
  void move_to(const Endpoint& endpoint, std::string_view cause);

  bool up() const override { return state_ == State::up && !condemn_requested_; }
  void send(std::string_view request, int db, ReplyHandler& handler, std::uint64_t tag,
            std::int64_t deadline_us, std::uint32_t replies, Order order) override;
  void condemn(std::string_view cause) override;
  std::size_t pending() const override { return pending_.size() + held_.size(); }
  const Endpoint& endpoint() const { return options_.endpoint; }

 private:
  enum class State : std::uint8_t { idle, dialling, gating, up };
  struct Pending {
    ReplyHandler* handler;  // nullptr: the link's own (SELECT)
    std::uint64_t tag;
    std::int64_t deadline_us;
    std::uint32_t replies;
  };
  struct Held {  // until the connection stands in its database
    std::string request;
    int db;
    Order order;
    Pending pending;
  };

  void on_connected() override;
  void on_bytes(std::string_view bytes) override;
  void on_closed(CloseReason reason, std::string_view detail) override;

  void dial();
  void on_silence();
  void write(std::string_view request, Order order, const Pending& pending);
  void hasten(std::int64_t deadline_us);
  void select(int db, std::int64_t deadline_us);
  void release();
  std::size_t consume(std::string_view bytes);
  void on_frame(std::string_view frame);
  void on_gate_frame(std::string_view frame);
  void on_gate_info(const ReplyView& info);
  void come_up();
  void finish(bool reset, std::string_view cause);
  std::int64_t retry_delay_ms();
  // link_login.cc
  bool knows_login();
  void on_login();
  void choose_login();
  void append_hello(std::string& out);
  void on_refusal();
  void log_in_again();
  void plan_renewal();
  // Of a login on a connection that is up.
  void on_upstream_reply(std::uint64_t, std::string_view frame) override;
  void on_upstream_lost(std::uint64_t) override {}

  LinkOptions options_;
  Dialer& dialer_;
  UpstreamEvents& events_;
  Counters& counters_;
  Random& random_;

  State state_ = State::idle;
  bool stopped_ = true;
  Now now_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<Transport> graveyard_;  // closed inside its own callback; freed at the next tick
  std::string rest_;                      // bytes of an incomplete reply
  FrameScanner scanner_;
  std::deque<Pending> pending_;
  int current_db_ = 0;
  bool selecting_ = false;  // SELECT current_db_ is not answered yet: all that is sent is held
  std::deque<Held> held_;
  std::size_t held_bytes_ = 0;
  int gate_step_ = 0;
  Login login_;                              // of the connection that is being made
  std::optional<std::uint64_t> not_serial_;  // idle: dial when the password is another than this
  enum class Refusal : std::uint8_t { none, wait, try_another };
  Refusal refusal_ = Refusal::none;
  std::int64_t renew_us_ = 0;  // up: when to log in again; 0: not
  GateFacts facts_;
  std::int64_t gate_deadline_us_ = 0;
  std::int64_t next_dial_us_ = 0;
  std::int64_t up_since_us_ = 0;
  bool moved_ = false;  // what ends is where Redis was
  int flaps_ = 0;
  bool in_feed_ = false;
  bool condemn_requested_ = false;
  std::string condemn_cause_;
};

}  // namespace stayd
