#include "tests/hostile/crowd.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>

namespace stayd::hostile {

Crowd::Crowd(const CrowdOptions& options)
    : options_(options), random_(options.seed), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  for (std::size_t i = 0; i < options.clients; ++i) {
    clients_.push_back(std::make_unique<BadClient>(static_cast<Badness>(i % kBadnesses), random_));
  }
}

Crowd::~Crowd() {
  clients_.clear();
  ::close(epoll_);
}

void Crowd::turn(std::int64_t now_ms, int ms) {
  std::array<epoll_event, 512> events{};
  const int ready = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), ms);
  for (int i = 0; i < ready; ++i) {
    const std::size_t index = events[static_cast<std::size_t>(i)].data.u64;
    if (clients_[index]->fd() >= 0 && !clients_[index]->read()) end(index, true);
  }
  const double passed_s = last_ms_ == 0 ? 0 : static_cast<double>(now_ms - last_ms_) / 1000;
  last_ms_ = now_ms;
  const auto size = static_cast<double>(clients_.size());
  const auto rate = static_cast<double>(options_.dials_per_s);
  dials_ = std::min(dials_ + passed_s * rate, rate / 10);
  moves_ = std::min(moves_ + passed_s * size * 1000 / static_cast<double>(options_.move_ms), size);
  for (; moves_ >= 1; --moves_) {
    const std::size_t index = next_move_;
    next_move_ = (next_move_ + 1) % clients_.size();
    if (clients_[index]->fd() < 0) {
      dial(index);
    } else if (!clients_[index]->act()) {
      end(index, clients_[index]->badness() != Badness::connect_and_close);
    }
  }
}

void Crowd::dial(std::size_t index) {
  BadClient& client = *clients_[index];
  if (dials_ < 1) return;
  --dials_;
  if (!client.dial(options_.port)) return;
  ++connected_;
  ++dialled_[static_cast<std::size_t>(client.badness())];
  epoll_event event{};
  event.events = client.reads() ? EPOLLIN : 0U;  // EPOLLHUP comes in any case
  event.data.u64 = index;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, client.fd(), &event);
}

void Crowd::end(std::size_t index, bool by_peer) {
  BadClient& client = *clients_[index];
  if (by_peer) ++sent_away_[static_cast<std::size_t>(client.badness())];
  client.close();
  --connected_;
}

}  // namespace stayd::hostile
