// While the primary is out: reads that the ledger cannot answer are asked of one of its replicas
// ([redis] replica_reads; docs/adr/0014).
//
//   what would be UNKNOWN ─▶ ask() ─▶ GET of the heartbeat key, the read ─▶ it vouches, a hit ─▶
//   HIT
//                                     (on the replica's connection)       └▶ anything else ─▶
//                                     UNKNOWN
//
// A replica is behind by as much as it likes, so its nil proves nothing (I5), and its hit counts
// only beside a heartbeat of ours that had reached it shortly before the primary was lost, and
// behind all that the ledger knows of the key and of flushes. What it says is not taken over into
// the ledger. Who may be asked: what [redis] replicas names, and what the primary's INFO named
// last, which is a durable fact; of a Cluster, what the topology names.
//
// The connection is made for the first such read of an outage, and ends with it. Bounded:
// kMaxWaiting reads wait for it, none beyond its own deadline. Loop thread only; sans-I/O.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/call.h"
#include "core/context.h"
#include "core/replica.h"
#include "core/replica_list.h"
#include "core/status.h"

namespace stayd {

class ReplicaReadsEvents {
 public:
  virtual ~ReplicaReadsEvents() = default;
  virtual void on_replica_hit(Call& call, std::string_view frame) = 0;
  // No answer, or one that proves nothing.
  virtual void on_replica_miss(Call& call) = 0;
};

class ReplicaReads final : public UpstreamEvents, private ReplyHandler {
 public:
  static constexpr std::size_t kMaxWaiting = 1024;
  // How much older than the primary's last heartbeat a replica's may be (R12). One that was in step
  // lacks less than a second.
  static constexpr std::int64_t kMaxBehindMs = 3'000;
  static constexpr std::int64_t kLookIntervalMs = 10'000;  // at INFO replication

  ReplicaReads(CoreContext& context, ReplicaReadsEvents& events) : c_(context), events_(events) {}

  // `replica`: its events are this object's; nullptr: there is none.
  void attach(Replica* replica, Upstream& aux);
  void start();  // reads the durable fact
  // `last_beat_ms`: wall clock of the primary's last heartbeat; 0: none in this life.
  void on_tick(std::int64_t last_beat_ms, Trust trust);
  // The primary names its replicas.
  void on_primary(const std::vector<NamedReplica>& replicas);
  // The Cluster does.
  void name(std::vector<std::string> addresses);
  void on_trust(Trust trust);
  // Another Redis is used, whose replicas these are beside those that it will name.
  void change_memory(std::vector<std::string> replicas);
  // What the ledger knew is void: a replica must have all that Redis held then.
  void on_ledger_anew();
  // Whether one has been connected since this was last asked: who was told UNKNOWN, and waits for
  // an answer, may ask again.
  bool take_arrival() { return std::exchange(arrived_, false); }
  std::size_t known() const { return addresses_.size(); }

  // True: one on_replica_hit or on_replica_miss follows, never during this call, by `deadline_us`.
  // False: nobody to ask, or no read that a replica may answer. `floor`: the version that the
  // replica must have passed. Requires: the primary is out; the call has one key.
  bool ask(Call& call, Hlc floor, std::int64_t deadline_us);

 private:
  enum Tag : std::uint64_t { kHeartbeat, kRead, kInfo };
  struct Asked {
    Call* call;
    Hlc floor;
    std::int64_t deadline_us;
    bool vouched = false;
  };

  void on_upstream_up(const GateFacts& facts) override;
  void on_upstream_down(bool never_up, std::string_view cause) override;
  void on_upstream_push(std::string_view) override {}
  void on_upstream_reply(std::uint64_t tag, std::string_view frame) override;
  void on_upstream_lost(std::uint64_t tag) override;

  bool on() const { return c_.options.replica_reads && replica_ != nullptr; }
  void send(const Asked& asked);
  void on_read(std::string_view frame);
  bool vouches(std::string_view heartbeat, Hlc floor) const;
  void look();
  void save();
  void gather();
  void miss_late();

  CoreContext& c_;
  ReplicaReadsEvents& events_;
  Replica* replica_ = nullptr;
  Upstream* aux_ = nullptr;
  std::string redis_;               // as the configuration names it
  std::vector<std::string> named_;  // by the primary, or the Cluster
  std::vector<std::string> addresses_;
  std::deque<Asked> waiting_;  // for the connection
  std::deque<Asked> asked_;    // in the order of their replies
  std::int64_t last_beat_ms_ = 0;
  std::int64_t anew_ms_ = 0;  // when the ledger began anew; 0: never
  std::int64_t next_look_us_ = 0;
  bool arrived_ = false;
  std::string told_;  // of failures in this outage, the last
  ReplySink swallow_;
};

}  // namespace stayd
