// Is a Redis that is not in use well? A connection to each of its primaries is made through the
// whole gate (login, role, not loading) and kept; each second a key of ours is written there,
// because one that only answers may be read-only, full or without its slots.
//
//   set_primaries() ──▶ Link to each ──▶ up, and the last write was taken ──▶ well
//
// Sans-I/O on a Dialer; loop thread only. Owns its links; what it is given outlives it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/slots.h"
#include "observe/counters.h"
#include "redis/link.h"

namespace stayd {

class Standby {
 public:
  static constexpr std::int64_t kWriteUs = 1'000'000;   // between two writes
  static constexpr std::int64_t kAnswerUs = 1'000'000;  // within which each is answered
  static constexpr std::int64_t kMaxRetryMs = 5'000;    // between two attempts to connect

  struct Primary {
    Endpoint endpoint;  // known()
    std::string tag;    // a hash tag of a slot that it has; empty: it is no Cluster
    friend bool operator==(const Primary&, const Primary&) = default;
  };

  // `link`: as for connections in use; the endpoint is unused.
  Standby(LinkOptions link, Dialer& dialer, Random& random);
  ~Standby();

  // Whose writes count; none: not well, because of `why`.
  void set_primaries(std::vector<Primary> primaries, std::string why);
  void on_tick(Now now);
  // Ends every connection; well() is false until set_primaries().
  void stop();

  bool well() const { return well_; }
  std::int64_t well_since_us() const { return well_since_us_; }  // while well()
  std::string trouble() const;  // why not; empty: well, or not known yet

 private:
  class Node;

  LinkOptions options_;
  Dialer& dialer_;
  Random& random_;
  Counters of_links_;  // these are none of the connections in use
  Now now_;
  std::vector<Primary> primaries_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::string why_;
  bool well_ = false;
  std::int64_t well_since_us_ = 0;
};

}  // namespace stayd
