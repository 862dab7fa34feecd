// The pool behind core/pinned.h: at most kMaxPinned links, a few kept ready for the next client.
// Loop thread only. Owns its links.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/pinned.h"
#include "redis/link.h"

namespace stayd {

class PinnedPool final : public Pinned {
 public:
  PinnedPool(LinkOptions options, Dialer& dialer, Counters& counters, Random& random);
  ~PinnedPool() override;

  bool send(std::uint64_t client, std::string_view request, int db, ReplyHandler& handler,
            std::uint64_t tag, std::int64_t deadline_us, std::uint32_t replies) override;
  bool holds(std::uint64_t client) const override;
  std::int64_t redis_id(std::uint64_t client) const override;
  void release(std::uint64_t client) override;
  void drop(std::uint64_t client) override;
  void on_tick(Now now);
  void log_in_with(Credentials* credentials, bool tls) {
    options_.credentials = credentials;
    options_.tls = tls;
  }
  // Redis is elsewhere: every connection is condemned, and later ones go there.
  void move_to(const Endpoint& endpoint, std::string_view cause);
  std::size_t size() const { return used_.size(); }

 private:
  class Connection;
  static constexpr std::size_t kIdle = 4;

  LinkOptions options_;
  Dialer& dialer_;
  Counters& counters_;
  Random& random_;
  Now now_;
  std::map<std::uint64_t, std::unique_ptr<Connection>> used_;
  std::vector<std::unique_ptr<Connection>> idle_;
  std::vector<std::unique_ptr<Connection>> graveyard_;  // closed inside their own callbacks
};

}  // namespace stayd
