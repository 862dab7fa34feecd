// Thousands of bad clients at once: each makes a move now and then, and comes back when it has been
// sent away. Single thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "tests/hostile/bad_client.h"

namespace stayd::hostile {

struct CrowdOptions {
  std::uint16_t port = 0;
  std::size_t clients = 10'000;
  std::size_t dials_per_s = 2'000;
  std::int64_t move_ms = 1'000;  // each client makes a move so often
  std::uint64_t seed = 1;
};

class Crowd {
 public:
  explicit Crowd(const CrowdOptions& options);
  ~Crowd();

  // Waits for at most `ms`, and does what is due at `now_ms`.
  void turn(std::int64_t now_ms, int ms);

  std::size_t connected() const { return connected_; }
  // Connections made, and ended by the other side, by badness.
  const std::array<std::uint64_t, kBadnesses>& dialled() const { return dialled_; }
  const std::array<std::uint64_t, kBadnesses>& sent_away() const { return sent_away_; }

 private:
  void dial(std::size_t index);
  void end(std::size_t index, bool by_peer);

  CrowdOptions options_;
  Random random_;
  int epoll_;
  std::vector<std::unique_ptr<BadClient>> clients_;
  std::size_t connected_ = 0;
  std::size_t next_move_ = 0;  // whose turn it is
  std::int64_t last_ms_ = 0;
  double dials_ = 0;  // that may be made now
  double moves_ = 0;
  std::array<std::uint64_t, kBadnesses> dialled_{};
  std::array<std::uint64_t, kBadnesses> sent_away_{};
};

}  // namespace stayd::hostile
