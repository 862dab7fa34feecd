#include "redis/login_probe.h"

#include <algorithm>
#include <utility>

namespace stayd {

namespace {

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string_view what_to_do(std::string_view cause) {
  if (cause.starts_with("WRONGPASS")) {
    return "is the user there and on, and is the password that stayd is given the one that Redis "
           "has?";
  }
  if (cause.starts_with("NOAUTH")) return "Redis asks for a password: give one to stayd";
  if (cause.starts_with("no password")) return "mend the file or the command";
  if (has(cause, "NOPERM")) return "`stayd check` names the permission that is missing";
  if (has(cause, "max number of clients")) return "raise maxclients, or find who holds them all";
  if (has(cause, "certificate") || has(cause, "TLS")) {
    return "look at the certificates and their authorities, on both sides";
  }
  return "`stayd check` may tell more";
}

}  // namespace

LoginProbe::LoginProbe(LinkOptions link, std::int64_t interval_ms, Dialer& dialer, EventSink& log,
                       Counters& counters, Random& random)
    : options_(std::move(link)),
      interval_ms_(interval_ms),
      dialer_(dialer),
      log_(log),
      counters_(counters),
      random_(random) {
  options_.newest_password = true;
  status_.address = options_.endpoint.text();
}

LoginProbe::~LoginProbe() = default;

void LoginProbe::on_tick(Now now, bool live) {
  now_ = now;
  if (interval_ms_ == 0) return;
  if (!live || !std::exchange(live_, live)) {
    live_ = live;
    give_up();
    wait(status_.failing ? kConfirmMs : interval_ms_);
    return;
  }
  if (link_) link_->on_tick(now);
  if (!link_) {
    const std::int64_t look_us = next_us_ - kLookAheadMs * 1000;
    if (now.mono_us >= look_us && options_.credentials && !std::exchange(looked_, true)) {
      options_.credentials->look(now);
    }
    if (now.mono_us >= next_us_) begin();
  }
  if (!outcome_) return;
  const std::string outcome = *std::exchange(outcome_, std::nullopt);
  if (outcome.empty()) {
    link_->stop();
    outcome_.reset();  // stop() tells of the end
    succeed();
  } else {
    fail(outcome);
  }
  link_.reset();
}

void LoginProbe::begin() {
  ++counters_.login_probes;
  outcome_.reset();
  UpstreamEvents& self = *this;
  link_ = std::make_unique<Link>(options_, dialer_, self, of_link_, random_);
  link_->start(now_);
  link_->on_tick(now_);
}

void LoginProbe::give_up() {
  link_.reset();
  outcome_.reset();
  failures_ = 0;
}

void LoginProbe::succeed() {
  failures_ = 0;
  status_.last_ok_ms = now_.wall_ms;
  wait(interval_ms_);
  if (!std::exchange(status_.failing, false)) return;
  status_.trouble.clear();
  status_.since_ms = 0;
  log_.on_event({Severity::info,
                 "login_probe_over",
                 "new connections to " + status_.address + " succeed again",
                 {}});
}

void LoginProbe::fail(const std::string& cause) {
  ++counters_.login_probe_failures;
  if (++failures_ == 1 && !status_.failing) return wait(kConfirmMs);
  wait(std::min(interval_ms_, kFailingIntervalMs));
  if (!std::exchange(status_.failing, true)) status_.since_ms = now_.wall_ms;
  if (std::exchange(status_.trouble, cause) == cause) return;
  log_.on_event({Severity::warning,
                 "login_probe_failing",
                 "a new connection to " + status_.address + " fails (" + cause +
                     ") while those in use work: the next failover or restart will be an outage; " +
                     std::string(what_to_do(cause)),
                 {}});
}

// With some jitter: many stayds that were started together do not ask together for ever.
void LoginProbe::wait(std::int64_t ms) {
  looked_ = false;
  const auto jitter = random_.below(static_cast<std::uint64_t>(ms) * 200 + 1);
  next_us_ = now_.mono_us + ms * 900 + static_cast<std::int64_t>(jitter);
}

void LoginProbe::move_to(const Endpoint& endpoint) {
  options_.endpoint = endpoint;
  give_up();
  status_ = {};
  status_.address = endpoint.text();
  wait(interval_ms_);
}

LoginProbeStatus LoginProbe::status() const {
  return status_;
}

}  // namespace stayd
