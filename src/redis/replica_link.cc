#include "redis/replica_link.h"

#include <charconv>
#include <utility>

namespace stayd {

namespace {

// "host:port"; port 0: it is none.
Endpoint endpoint_of(const std::string& address) {
  Endpoint out{.port = 0};
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return out;
  out.host = address.substr(0, colon);
  std::from_chars(address.data() + colon + 1, address.data() + address.size(), out.port);
  return out;
}

}  // namespace

ReplicaLink::ReplicaLink(LinkOptions link, Dialer& dialer, UpstreamEvents& events, Random& random)
    : options_(std::move(link)), dialer_(dialer), events_(events), random_(random) {
  options_.require_primary = false;
  options_.judges_logins = false;
}

void ReplicaLink::set_addresses(std::vector<std::string> addresses) {
  addresses_ = std::move(addresses);
  next_ = 0;
}

void ReplicaLink::open(Now now) {
  if (open_ || addresses_.empty()) return;
  now_ = now;
  open_ = true;
  probing_ = false;
  failures_ = 0;
  next_ = 0;
  next_dial_us_ = 0;
  if (!link_) dial();
}

void ReplicaLink::dial() {
  address_ = addresses_[next_ % addresses_.size()];
  ++next_;
  options_.endpoint = endpoint_of(address_);
  ended_ = false;
  UpstreamEvents& self = *this;
  link_ = std::make_unique<Link>(options_, dialer_, self, of_link_, random_);
  link_->start(now_);
  link_->on_tick(now_);
}

void ReplicaLink::on_tick(Now now) {
  now_ = now;
  if (!open_ && link_ && !ended_) link_->stop();
  if (ended_) {
    link_.reset();
    ended_ = false;
  }
  if (link_) return link_->on_tick(now);
  if (open_ && !addresses_.empty() && now.mono_us >= next_dial_us_) dial();
}

void ReplicaLink::on_upstream_up(const GateFacts& facts) {
  events_.on_upstream_up(facts);
}

void ReplicaLink::on_upstream_down(bool never_up, std::string_view cause) {
  ended_ = true;
  next_dial_us_ = now_.mono_us;
  if (!never_up) probing_ = false;
  if (++failures_ >= addresses_.size()) {
    probing_ = true;
    failures_ = 0;
    next_dial_us_ += (kPauseMs + static_cast<std::int64_t>(random_.below(kPauseMs / 4))) * 1000;
  }
  events_.on_upstream_down(never_up, cause);
}

}  // namespace stayd
