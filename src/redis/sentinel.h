// Which Redis is the primary, by Sentinel. All Sentinels are asked, and listened to, at once:
//
//   each Sentinel: Link ─▶ SENTINEL MYID, MASTER, GET-MASTER-ADDR-BY-NAME, SENTINELS
//                          └─▶ PrimaryElection (election.h) ─▶ SentinelEvents::on_primary
//                  SUBSCRIBE +switch-master: a hint to ask all at once, no more
//
// The epoch is MASTER's; the address is GET-MASTER-ADDR-BY-NAME's: while the replicas are moved,
// the Sentinel that leads a failover has the new epoch beside the old address in MASTER. Sentinels
// that others know of are asked too, until they are gone (election.h).
//
// Sans-I/O on a Dialer; loop thread only. Owns its links; what it is given outlives it. Times are
// in the Now that on_tick() brings.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "observe/counters.h"
#include "observe/events.h"
#include "redis/election.h"
#include "redis/link.h"
#include "resp/reply.h"

namespace stayd {

struct SentinelOptions {
  std::vector<Endpoint> sentinels;  // at least one, at most kMaxSentinels
  std::string primary_name;         // "mymaster"
  LinkOptions link;                 // for the Sentinels: their credentials; the endpoint is unused
  std::int64_t ask_interval_ms = 1'000;
  std::int64_t doubt_interval_ms = 250;  // while the primary is lost
  // A Sentinel that is silent for longer is dialled anew.
  std::int64_t answer_deadline_ms = PrimaryElection::kPatienceUs / 1'000;
  std::int64_t tell_after_ms = 2'000;  // that no Sentinel names a primary
};

class SentinelEvents {
 public:
  virtual ~SentinelEvents() = default;
  // Another primary than before, or the first one.
  virtual void on_primary(const Endpoint& primary) = 0;
};

struct SentinelStatus {
  std::string primary_name;
  std::string primary;             // its address; empty: no Sentinel has named one yet
  std::uint64_t config_epoch = 0;  // of that answer
  std::size_t known = 0;           // Sentinels, named and learnt
  std::size_t answering = 0;       // that name a primary at present
  bool lost = false;               // none has, for tell_after_ms
  std::string trouble;             // why, if none does
};

// What the replies to SENTINEL MASTER and SENTINEL GET-MASTER-ADDR-BY-NAME say, RESP2 or RESP3;
// nullopt: not what such a reply is.
std::optional<std::uint64_t> sentinel_epoch(const ReplyView& master);
std::optional<Endpoint> sentinel_address(const ReplyView& address);

class SentinelWatch {
 public:
  SentinelWatch(SentinelOptions options, Dialer& dialer, SentinelEvents& events, EventSink& log,
                Counters& counters, Random& random);
  ~SentinelWatch();

  void start(Now now);
  void on_tick(Now now);
  // The connection to the primary is lost (true: all are asked at once, and often) or works.
  void doubt(bool primary_is_lost);
  SentinelStatus status() const;

 private:
  class Sentinel;

  void add(const Endpoint& address, const std::string& id, std::optional<std::int64_t> named_us);
  void forget();
  void ask_all();
  void elect();
  void tell_of_reach();

  SentinelOptions options_;
  Dialer& dialer_;
  SentinelEvents& events_;
  EventSink& log_;
  Counters& counters_;
  Random& random_;
  Counters of_links_;  // connections to Sentinels are not connections to Redis
  Now now_;
  PrimaryElection election_;
  std::map<std::size_t, std::unique_ptr<Sentinel>> sentinels_;  // by the election's index
  std::string trouble_;                                         // the last failure of any Sentinel
  std::int64_t next_ask_us_ = 0;
  std::int64_t last_named_us_ = 0;
  bool doubted_ = true;
  bool lost_ = false;
};

}  // namespace stayd
