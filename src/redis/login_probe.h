// "Would we survive a reconnect?" Redis goes on serving connections whose password, user or
// certificate it would not take any more: a botched rotation shows at the next failover, as an
// outage on top of an outage. So while the connections in use work, another one is made now and
// then, goes through the whole gate (dial, TLS, HELLO AUTH, INFO: a primary), and is closed again.
//
//   wait interval ──▶ probe ──▶ well: wait again
//                       └─▶ failed ──▶ 1 s later once more ──▶ failed: it is told, and asked again
//                                                              each 10 s until it is well
//
// One for each primary. Sans-I/O on a Dialer; loop thread only; what it is given outlives it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"
#include "core/upstream.h"
#include "observe/counters.h"
#include "observe/events.h"
#include "redis/link.h"

namespace stayd {

struct LoginProbeStatus {
  std::string address;
  bool failing = false;
  std::string trouble;          // why, while failing
  std::int64_t since_ms = 0;    // wall clock: failing since
  std::int64_t last_ok_ms = 0;  // wall clock of the last success; 0: none yet
};

class LoginProbe final : private UpstreamEvents {
 public:
  static constexpr std::int64_t kConfirmMs = 1'000;
  static constexpr std::int64_t kFailingIntervalMs = 10'000;  // or the interval, if it is shorter
  // The password is looked for so long before: a command may take its time.
  static constexpr std::int64_t kLookAheadMs = 10'000;

  // `link`: as for the connections in use. `interval_ms` 0: never probes.
  LoginProbe(LinkOptions link, std::int64_t interval_ms, Dialer& dialer, EventSink& log,
             Counters& counters, Random& random);
  ~LoginProbe() override;

  // `live`: the connections in use work. While they do not, there is nothing to find out.
  void on_tick(Now now, bool live);
  void log_in_with(Credentials* credentials, bool tls) {
    options_.credentials = credentials;
    options_.tls = tls;
  }
  // Another primary; what was found out of the one before is forgotten.
  void move_to(const Endpoint& endpoint);
  LoginProbeStatus status() const;

 private:
  void on_upstream_up(const GateFacts&) override { outcome_.emplace(); }
  void on_upstream_down(bool, std::string_view cause) override {
    if (!outcome_) outcome_ = cause;
  }
  void on_upstream_push(std::string_view) override {}

  void begin();
  void give_up();
  void succeed();
  void fail(const std::string& cause);
  void wait(std::int64_t ms);

  LinkOptions options_;
  const std::int64_t interval_ms_;
  Dialer& dialer_;
  EventSink& log_;
  Counters& counters_;
  Random& random_;
  Counters of_link_;  // a probe is none of the connections that are counted
  Now now_;
  std::unique_ptr<Link> link_;          // nullptr: none is under way
  std::optional<std::string> outcome_;  // of that one; empty text: well
  bool live_ = false;
  bool looked_ = false;  // for the password, before the next probe
  std::int64_t next_us_ = 0;
  int failures_ = 0;  // in a row
  LoginProbeStatus status_;
};

}  // namespace stayd
