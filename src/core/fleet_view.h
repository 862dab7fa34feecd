// What a stayd of a fleet knows of the others (docs/adr/0016): the heartbeats that they keep in the
// Redis that it is connected to, and so which of their rows are *here*; their entries in the host
// table. And what follows for a row of theirs: nothing, or that Redis is owed it (B4, B11).
//
//   row of another ─▶ here ────────────────────────────▶ Redis answers
//                 ─▶ its host is at work in this Redis ─▶ waits for that one's next heartbeats
//                 ─▶ else ─────────────────────────────▶ owed: the backup answers
//
// Loop thread only; sans-I/O. Owns nothing; the context, the store and the events outlive it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/canary.h"
#include "core/context.h"
#include "core/fleet_store.h"
#include "core/fleet_view_events.h"
#include "core/status.h"
#include "resp/reply.h"

namespace stayd {

class FleetView final : public FleetJudge, private ReplyHandler {
 public:
  FleetView(CoreContext& context, FleetStore& store, FleetViewEvents& events)
      : c_(context), store_(store), events_(events) {}

  FleetStore& store() { return store_; }
  // Of this host's leases, whichever process takes them.
  std::string lease_owner() const { return origin_text(host_of(store_.origin())) + "."; }

  // --- told by the shard
  void on_trust(Trust trust);
  void on_connection();  // what was found in another memory says nothing of this one
  void found_own(int db, Hlc position) { own_[static_cast<std::size_t>(db)] = position; }
  void on_tick();
  // Its name in this Redis: it may have no backup, and then nothing else tells of it.
  void note_other(std::string_view instance);
  // MGET of the others' heartbeats in a database. False: there are none to ask for.
  bool append_beats(std::string& request);
  void on_beats(int db, const ReplyView& reply);

  // --- asked by the shard
  bool is_own(const RowMeta& row) const {
    return row.origin == 0 || host_of(row.origin) == host_of(store_.origin());
  }
  // This memory has the row, or had it and knows what became of it.
  bool here(const FullKey& key, const RowMeta& row) const;
  // What Redis counts: what it has evicted it does not decide.
  void note_evicted(std::uint64_t evicted_keys);
  // Another's row of this key may be here: Redis decides until its host's heartbeat tells.
  bool awaits(const FullKey& key, const RowMeta& row);
  bool pending(std::string_view key) const { return pending_.contains(key); }
  // Rows up to here are here, whoever's they are.
  Hlc all_here_to(int db) const;
  Hlc trusted_from() const { return trusted_from_; }
  // The feed has been read to its end since the connection stood, or the backup cannot be reached.
  bool has_heard() const;
  // Another's row that its maker will write, if it has to be.
  bool is_left_to_maker(const RowMeta& row, int db) const;
  bool has_company() const;  // others are at work in this Redis
  // The feed has been read to its end in this life, and within a day no other stayd was seen.
  bool is_only_one() const;
  // All who are at work in this Redis have shipped what they had made then (Now::mono_us).
  bool all_shipped_since(std::int64_t mono_us) const;

  // What was wanted of Redis stands in the ledger.
  void on_read_back(const FullKey& key);

  // FleetJudge
  Verdict judge(const FullKey& key, const RowMeta& ours, const RowMeta& theirs,
                std::int64_t asked_us) override;
  void on_foreign(const FullKey& key, const RowMeta& theirs) override;
  bool made_through_redis(const FullKey& key, Hlc hlc) const override {
    return trust_ == Trust::trusted && hlc > trusted_from_ && !c_.debts.has(key);
  }
  Hlc unrecorded_from() const override { return c_.making.empty() ? 0 : *c_.making.begin(); }
  bool trusts_redis() const override { return trust_ == Trust::trusted; }
  std::size_t hosts_at_work() const override;

 private:
  struct Beat {
    Canary told;
    bool changes = false;         // it was seen to: its host lives
    std::int64_t changed_us = 0;  // when it was seen to have another count
    // What it told. The count stays: one that stands there proves no host.
    void forget() {
      const auto count = told.count;
      told = {};
      told.count = count;
    }
  };
  struct Pending {
    RowMeta row;
    std::int64_t since_us = 0;
  };
  // Whether Redis has a key, asked once: nothing that was sent later is in the answer.
  struct Asked {
    Version about;  // the row that it was asked for
    std::uint64_t number = 0;
    std::optional<bool> has;
  };
  struct ReadBack {
    Version about;  // another's row, which Redis has executed before it was asked
    bool done = false;
    std::int64_t since_us = 0;
  };
  bool is_read_back(const FullKey& key, Version about);
  std::optional<bool> redis_has(const FullKey& key, Version about);
  void on_upstream_reply(std::uint64_t tag, std::string_view frame) override;
  void on_upstream_lost(std::uint64_t tag) override;

  const Beat* beat_of(std::uint64_t host, int db) const;
  bool at_work(std::uint64_t host, int db) const;
  bool may_come(const FullKey& key, const RowMeta& row) const;
  void owe(const FullKey& key, const RowMeta& row);

  CoreContext& c_;
  FleetStore& store_;
  FleetViewEvents& events_;
  Trust trust_ = Trust::out;
  static constexpr std::uint64_t kUnknownCount = ~std::uint64_t{0};
  std::uint64_t evicted_keys_ = kUnknownCount;
  std::int64_t evicted_us_ = 0;  // that it was seen to count more
  Hlc trusted_from_ = 0;         // what was made through Redis since is in this memory
  std::int64_t connected_us_ = 0;
  std::array<Hlc, kDatabases> own_{};
  std::set<std::uint64_t> others_;    // that this Redis has heard of
  std::vector<std::uint64_t> asked_;  // hosts, in the order of the request under way
  std::map<std::pair<std::uint64_t, int>, Beat> beats_;
  KeyMap<Pending> pending_;
  KeyMap<Asked> has_;
  KeyMap<ReadBack> read_back_;
  std::uint64_t last_asked_ = 0;
};

}  // namespace stayd
