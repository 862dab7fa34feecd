#include "sim/sentinels.h"

#include <algorithm>
#include <utility>

#include "resp/reply.h"
#include "sim/servers.h"

namespace stayd::sim {

namespace {

constexpr std::uint16_t kFirstPort = 26379;
constexpr std::int64_t kLookUs = 100 * kMs;
constexpr std::int64_t kHelloUs = 2 * kSecond;  // between two of one Sentinel
constexpr std::int64_t kLongestElectionUs = 1500 * kMs;
constexpr std::int64_t kLongestReconfUs = 1100 * kMs;  // until a failover is told of
constexpr std::int64_t kDemoteUs = 10 * kSecond;       // a primary of before that is back
constexpr std::int64_t kPauseUs = 5 * kSecond;         // between two failovers
constexpr unsigned kHintLost = 30;                     // percent

}  // namespace

Sentinels::Sentinels(Scheduler& scheduler, Random random, Servers& servers)
    : scheduler_(scheduler),
      random_(random),
      servers_(servers),
      down_after_us_(kSecond + static_cast<std::int64_t>(random_.below(4 * kSecond))),
      first_(servers.endpoint(0)) {
  for (Sentinel& one : sentinels_) {
    one.view = {first_, epoch_};
    one.seen_us = scheduler_.now_us();
  }
  introduce();
  scheduler_.after(kLookUs, [this] { look(); });
}

void Sentinels::introduce() {
  for (std::size_t i = 0; i < kCount; ++i) {
    sentinels_[i].id = "sentinel" + std::to_string(i) + "-" + std::to_string(generation_);
  }
  for (Sentinel& one : sentinels_) {
    one.others.clear();
    for (std::size_t i = 0; i < kCount; ++i) {
      if (sentinels_[i].id != one.id) one.others[sentinels_[i].id] = endpoint(i);
    }
  }
}

Endpoint Sentinels::endpoint(std::size_t number) {
  return {std::string(kHost), static_cast<std::uint16_t>(kFirstPort + number), ""};
}

Server* Sentinels::at(const Endpoint& endpoint) {
  const std::size_t number = endpoint.port - kFirstPort;
  return number < kCount ? &sentinels_[number] : nullptr;
}

bool Sentinels::tell_primary() const {
  const auto names = std::ranges::count_if(sentinels_, [&](const Sentinel& one) {
    const bool well = one.state == Sentinel::State::well;
    return well && one.view.primary == servers_.endpoint(0) && one.view.epoch == epoch_;
  });
  return generation_ == 1 ? names > 0 : names * 2 > std::ssize(sentinels_);
}

bool Sentinels::majority() const {
  return std::ranges::count_if(sentinels_, &Sentinel::takes_part) * 2 > std::ssize(sentinels_);
}

// Sentinels take LOADING and MASTERDOWN for answers, and BUSY for none.
bool Sentinels::reaches(const Sentinel& one, const Endpoint& primary) const {
  if (!one.takes_part() || primary == cut_off_) return false;
  const RedisModel* redis = servers_.redis_at(primary);
  return redis != nullptr && redis->listening() && !redis->flags.frozen && !redis->flags.busy;
}

void Sentinels::look() {
  scheduler_.after(kLookUs, [this] { look(); });
  for (Sentinel& one : sentinels_) {
    if (one.state == Sentinel::State::dead || one.state == Sentinel::State::frozen) continue;
    if (reaches(one, one.view.primary)) one.seen_us = scheduler_.now_us();
    hear(one);
  }
  judge();
  demote_old();
}

// Of a failover that another one led.
void Sentinels::hear(Sentinel& one) {
  const auto newest = std::ranges::max_element(sentinels_, {}, [](const Sentinel& other) {
    return other.takes_part() && !other.leads_from ? other.view.epoch : 0;
  });
  if (!one.takes_part() || !newest->takes_part() || newest->view.epoch <= one.view.epoch) {
    one.hears_us = 0;
    return;
  }
  const std::int64_t now_us = scheduler_.now_us();
  if (one.hears_us == 0) {
    one.hears_us = now_us + static_cast<std::int64_t>(random_.below(kHelloUs));
  }
  if (now_us < one.hears_us) return;
  const Endpoint from = std::exchange(one.view, newest->view).primary;
  one.hears_us = 0;
  one.seen_us = now_us;
  if (from != one.view.primary && !random_.chance(kHintLost)) one.tell_switch(from);
}

void Sentinels::judge() {
  const std::int64_t now_us = scheduler_.now_us();
  const auto down = [&](const Sentinel& one) {
    return one.takes_part() && now_us - one.seen_us > down_after_us_;
  };
  if (failing_over_ || now_us < not_before_us_ || !majority()) return;
  if (std::ranges::count_if(sentinels_, down) * 2 > std::ssize(sentinels_)) fail_over();
}

bool Sentinels::fail_over() {
  if (failing_over_ || !majority()) return false;
  std::size_t leader = random_.below(kCount);
  while (!sentinels_[leader].takes_part()) leader = (leader + 1) % kCount;
  failing_over_ = true;
  const auto takes_us = static_cast<std::int64_t>(random_.below(kLongestElectionUs));
  scheduler_.after(takes_us, [this, leader, number = ++failover_] {
    if (number == failover_ && std::exchange(failing_over_, false)) lead(leader);
  });
  return true;
}

void Sentinels::lead(std::size_t leader) {
  Sentinel& one = sentinels_[leader];
  not_before_us_ = scheduler_.now_us() + kPauseUs;
  if (!one.takes_part()) return;
  promote();
  one.leads_from = one.view.primary;
  one.view = {servers_.endpoint(0), ++epoch_};
  one.seen_us = scheduler_.now_us();
  old_since_us_ = 0;
  const auto takes_us = static_cast<std::int64_t>(random_.below(kLongestReconfUs));
  scheduler_.after(takes_us, [this, &one] {
    const auto from = std::exchange(one.leads_from, std::nullopt);
    if (from && one.takes_part() && !random_.chance(kHintLost)) one.tell_switch(*from);
  });
}

// With its clients' connections, as Sentinel does.
void Sentinels::demote_old() {
  RedisModel* const old = servers_.deposed(0);
  const std::int64_t now_us = scheduler_.now_us();
  const bool primary = old != nullptr && old->listening() && !old->flags.frozen &&
                       !old->flags.replica && majority() && !cut_off_;
  if (!primary) {
    old_since_us_ = 0;
  } else if (old_since_us_ == 0) {
    old_since_us_ = now_us;
  } else if (now_us - old_since_us_ > kDemoteUs) {
    old->end_connections();
    old->flags.replica = true;
  }
}

// --- faults ---------------------------------------------------------------------------------

void Sentinels::cut_primary() {
  cut_off_ = servers_.endpoint(0);
  cut_off_us_ = scheduler_.now_us();
}

std::optional<std::int64_t> Sentinels::primary_cut_us() const {
  return cut_off_ == servers_.endpoint(0) ? std::optional(cut_off_us_) : std::nullopt;
}

void Sentinels::set_up_anew() {
  ++generation_;
  ++failover_;
  failing_over_ = false;
  epoch_ = 1;
  for (Sentinel& one : sentinels_) {
    one.become(Sentinel::State::dead);
    one.view = {servers_.endpoint(0), epoch_};
    one.leads_from.reset();
    one.seen_us = scheduler_.now_us();
  }
  introduce();
  for (Sentinel& one : sentinels_) one.become(Sentinel::State::well);
}

void Sentinels::forget(std::size_t number) {
  Sentinel& one = sentinels_[number];
  one.become(Sentinel::State::dead);
  one.view = {first_, 0};
  one.leads_from.reset();
  one.seen_us = scheduler_.now_us();
}

void Sentinels::heal() {
  ++failover_;
  failing_over_ = false;
  cut_off_.reset();
  for (Sentinel& one : sentinels_) {
    one.cut = false;
    one.become(Sentinel::State::well);
    one.seen_us = scheduler_.now_us();
  }
}

}  // namespace stayd::sim
