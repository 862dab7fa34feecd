#include "sim/names.h"

#include <array>
#include <utility>

#include "sim/servers.h"

namespace stayd::sim {

namespace {

constexpr std::array<std::int64_t, 4> kTtls = {0, kSecond, 5 * kSecond, 15 * kSecond};
constexpr std::uint64_t kSlowestAnswerUs = 50 * kMs;
constexpr std::uint64_t kLatestMoveUs = 5 * kSecond;  // after the promotion

}  // namespace

Names::Names(Scheduler& scheduler, Random random, Servers& servers)
    : scheduler_(scheduler),
      random_(random),
      servers_(servers),
      ttl_us_(kTtls[random_.below(kTtls.size())]),
      address_(servers.endpoint(0).host),
      before_(address_) {}

void Names::on_promoted() {
  const auto late_us = static_cast<std::int64_t>(random_.below(kLatestMoveUs));
  scheduler_.after(late_us, [this, number = ++moves_] {
    if (number != moves_) return;
    before_ = std::exchange(address_, servers_.endpoint(0).host);
  });
}

bool Names::tells(const Endpoint& primary) const {
  return well() && !alternates_ && address_ == primary.host;
}

void Names::become(State state) {
  state_ = state;
  if (state == State::silent) return;
  for (auto& done : std::exchange(waiting_, {})) answer(std::move(done));
}

void Names::heal() {
  ++moves_;
  before_ = address_ = servers_.endpoint(0).host;
  alternates_ = adds_dead_ = false;
  ++version_;
  become(State::well);
}

NameAnswer Names::record() {
  if (state_ == State::failing) return {{}, "Temporary failure in name resolution"};
  if (state_ == State::empty) return {{}, "it has no address"};
  NameAnswer answer;
  turn_ = !turn_;
  answer.addresses.push_back(Address::numeric(alternates_ && turn_ ? before_ : address_));
  if (adds_dead_) {
    const auto where = answer.addresses.begin() + static_cast<std::ptrdiff_t>(random_.below(2));
    answer.addresses.insert(where, Address::numeric("10.0.1.1"));
  }
  return answer;
}

void Names::answer(NameResolver::Done done) {
  if (state_ == State::silent) return waiting_.push_back(std::move(done));
  const auto takes_us = static_cast<std::int64_t>(random_.below(kSlowestAnswerUs));
  scheduler_.after(takes_us, [answer = record(), done = std::move(done)] { done(answer); });
}

void HostResolver::ask(const std::string&, Done done) {
  const std::int64_t now_us = names_.scheduler_.now_us();
  if (version_ == names_.version_ && now_us < kept_until_us_) {
    return names_.scheduler_.after(
        0, [this, life = life_, done = std::move(done)] { pass_on(life, kept_, done); });
  }
  names_.answer([this, life = life_, done = std::move(done)](const NameAnswer& answer) {
    if (!answer.addresses.empty()) {
      kept_ = answer;
      kept_until_us_ = names_.scheduler_.now_us() + names_.ttl_us_;
      version_ = names_.version_;
    }
    pass_on(life, answer, done);
  });
}

void HostResolver::pass_on(std::uint64_t life, const NameAnswer& answer, const Done& done) {
  deliver_([this, life, answer, done] {
    if (life == life_) done(answer);
  });
}

}  // namespace stayd::sim
