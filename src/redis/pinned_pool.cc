#include "redis/pinned_pool.h"

#include <utility>

namespace stayd {

namespace {
constexpr std::int64_t kComeUpUs = 1'000'000;  // dial and gate together
}

// One link, and what waits for it to come up. A link that goes down is not used again: its WATCHes
// are gone with it.
class PinnedPool::Connection final : public UpstreamEvents {
 public:
  Connection(const LinkOptions& options, Dialer& dialer, Counters& counters, Random& random,
             Now now)
      : give_up_us_(now.mono_us + kComeUpUs), link_(options, dialer, *this, counters, random) {
    link_.start(now);
    link_.on_tick(now);
  }

  void send(std::string_view request, int db, ReplyHandler& handler, std::uint64_t tag,
            std::int64_t deadline_us, std::uint32_t replies) {
    if (link_.up()) {
      link_.send(request, db, handler, tag, deadline_us, replies, Order::strict);
    } else {
      waiting_.push_back({std::string(request), db, &handler, tag, deadline_us, replies});
    }
  }

  void on_tick(Now now) {
    if (broken_) return;
    link_.on_tick(now);
    if (!broken_ && !link_.up() && now.mono_us > give_up_us_) end();
  }

  void end() {
    if (broken_) return;
    broken_ = true;
    link_.stop();
    lose_waiting();
  }

  void condemn(std::string_view cause) {
    if (!broken_) link_.condemn(cause);
  }

  bool broken() const { return broken_; }
  bool up() const { return link_.up(); }
  std::int64_t redis_id() const { return link_.up() ? redis_id_ : 0; }

 private:
  struct Waiting {
    std::string request;
    int db;
    ReplyHandler* handler;
    std::uint64_t tag;
    std::int64_t deadline_us;
    std::uint32_t replies;
  };

  void on_upstream_up(const GateFacts& facts) override {
    redis_id_ = facts.client_id;
    auto waiting = std::exchange(waiting_, {});
    for (const Waiting& w : waiting) {
      link_.send(w.request, w.db, *w.handler, w.tag, w.deadline_us, w.replies, Order::strict);
    }
  }
  void on_upstream_down(bool, std::string_view) override {
    broken_ = true;
    lose_waiting();
  }
  void on_upstream_push(std::string_view) override {}
  void lose_waiting() {
    auto waiting = std::exchange(waiting_, {});
    for (const Waiting& w : waiting) w.handler->on_upstream_lost(w.tag);
  }

  std::int64_t give_up_us_;
  std::int64_t redis_id_ = 0;
  bool broken_ = false;
  std::vector<Waiting> waiting_;
  Link link_;
};

PinnedPool::PinnedPool(LinkOptions options, Dialer& dialer, Counters& counters, Random& random)
    : options_(std::move(options)), dialer_(dialer), counters_(counters), random_(random) {}

PinnedPool::~PinnedPool() = default;

bool PinnedPool::send(std::uint64_t client, std::string_view request, int db, ReplyHandler& handler,
                      std::uint64_t tag, std::int64_t deadline_us, std::uint32_t replies) {
  auto it = used_.find(client);
  if (it != used_.end() && it->second->broken()) {
    graveyard_.push_back(std::move(it->second));
    used_.erase(it);
    it = used_.end();
  }
  if (it == used_.end()) {
    if (used_.size() >= kMaxPinned) return false;
    std::unique_ptr<Connection> connection;
    if (idle_.empty()) {
      connection = std::make_unique<Connection>(options_, dialer_, counters_, random_, now_);
    } else {
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
    if (connection->broken()) return false;  // there is no password to log in with yet
    it = used_.emplace(client, std::move(connection)).first;
  }
  it->second->send(request, db, handler, tag, deadline_us, replies);
  return true;
}

bool PinnedPool::holds(std::uint64_t client) const {
  const auto it = used_.find(client);
  return it != used_.end() && !it->second->broken();
}

std::int64_t PinnedPool::redis_id(std::uint64_t client) const {
  const auto it = used_.find(client);
  return it == used_.end() || it->second->broken() ? 0 : it->second->redis_id();
}

void PinnedPool::release(std::uint64_t client) {
  const auto it = used_.find(client);
  if (it == used_.end()) return;
  auto connection = std::move(it->second);
  used_.erase(it);
  if (connection->up() && !connection->broken() && idle_.size() < kIdle) {
    idle_.push_back(std::move(connection));
  } else {
    graveyard_.push_back(std::move(connection));
  }
}

void PinnedPool::drop(std::uint64_t client) {
  const auto it = used_.find(client);
  if (it == used_.end()) return;
  auto connection = std::move(it->second);
  used_.erase(it);
  connection->end();
  graveyard_.push_back(std::move(connection));
}

void PinnedPool::move_to(const Endpoint& endpoint, std::string_view cause) {
  options_.endpoint = endpoint;
  // What is lost may send again and so change the map.
  std::vector<std::uint64_t> clients;
  for (const auto& [client, connection] : used_) clients.push_back(client);
  for (const auto client : clients) {
    const auto it = used_.find(client);
    if (it != used_.end()) it->second->condemn(cause);
  }
  for (auto& connection : idle_) connection->condemn(cause);
  std::erase_if(idle_, [](const auto& connection) { return connection->broken(); });
}

void PinnedPool::on_tick(Now now) {
  now_ = now;
  graveyard_.clear();
  std::vector<std::uint64_t> clients;
  for (const auto& [client, connection] : used_) clients.push_back(client);
  for (const auto client : clients) {
    const auto it = used_.find(client);
    if (it != used_.end()) it->second->on_tick(now);
  }
  for (auto& connection : idle_) connection->on_tick(now);
  std::erase_if(idle_, [](const auto& connection) { return connection->broken(); });
}

}  // namespace stayd
