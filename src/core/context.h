// What the parts of the engine share: one owner (the Engine), one loop, everything injected.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/hlc.h"
#include "base/random.h"
#include "base/types.h"
#include "core/debts.h"
#include "core/key_table.h"
#include "core/ledger_end.h"
#include "core/place.h"
#include "core/record_cache.h"
#include "core/redirected.h"
#include "core/rules.h"
#include "core/side_keys.h"
#include "core/store_ops.h"
#include "core/unrecorded.h"
#include "core/upstream.h"
#include "observe/counters.h"
#include "observe/events.h"
#include "store/store.h"

namespace stayd {

class FleetView;

struct EngineOptions {
  std::string address = "127.0.0.1:6379";  // of Redis, for people
  // Deadline of a command on the data connection: command_deadline_ms, rising to 4 x the observed
  // p99, at most command_deadline_max_ms. Prevents one slow Redis from holding every request.
  std::int64_t command_deadline_ms = 50;
  std::int64_t command_deadline_max_ms = 100;
  std::int64_t slow_deadline_ms = 5000;  // commands on the auxiliary connection
  std::int64_t heartbeat_interval_ms = 400;
  bool heartbeats_follow_writes = false;  // R16: a proxy hides which server answers
  std::int64_t heartbeat_deadline_ms = 300;
  std::int64_t heartbeat_gap_ms = 3000;         // R12: older than this, nothing is trusted
  std::int64_t max_island_ms = 15 * 60 * 1000;  // R4: stayd away for longer: Redis is the truth
  std::int64_t hold_ms = 5000;                  // unknown = "hold"
  std::size_t near_cache_bytes = 16u << 20;
  // Confirmed logouts wait so long, at most, until so many replicas have them; 0: they do not.
  std::int64_t logout_wait_ms = 0;
  std::int64_t logout_wait_replicas = 1;
  // Replicas may answer what would be UNKNOWN while the primary is out.
  bool replica_reads = false;
  std::vector<std::string> replicas;  // "host:port", beside those that Redis names
  std::string region;                 // of several Redises, the name of the one in use; else empty
  bool observe = false;               // adopt only; never answer instead of Redis
  bool strict_logout = false;         // refuse a logout that cannot be made durable
  bool blind_accept = true;           // R5: the ledger cannot be read, a SUSPECT Redis can
  Rules rules;                        // tests only
};

// How long a tombstone lives at least (I9). The ledger extends it beyond the expiry of what it
// covers.
inline constexpr std::int64_t kTombstoneMinMs = 24LL * 3600 * 1000;
// Expiry is late by at most this when Redis is out (I10).
inline constexpr std::int64_t kClockErrorMs = 500;

struct CoreContext {
  CoreContext(EngineOptions o, Store& s, Counters& c, EventSink& e, Random& r, HlcClock& clock)
      : options(std::move(o)),
        store(s),
        counters(c),
        events(e),
        random(r),
        in_flight(s.in_flight()),
        hlc(clock),
        cache(options.near_cache_bytes),
        unrecorded(in_flight) {}

  EngineOptions options;
  const Rules& rules = options.rules;
  Store& store;
  Counters& counters;
  EventSink& events;
  Random& random;

  InFlightTable& in_flight;
  StoreOps ops;
  HlcClock& hlc;  // one for all engines of a ledger
  Debts debts;
  KeyTable keys;
  RecordCache cache;
  // Provisional rows of which Redis had no value of its own: what it holds there since is ours, and
  // a repair may overwrite it. As many as sessions were created before adoption ended.
  KeyMap<bool> placed;
  Upstream* upstream = nullptr;  // the data connection; set before start
  ShardPlace place;
  LedgerEnd* ledger_end = nullptr;  // of a Cluster
  Now now;
  std::string instance;              // durable random name of this ledger
  std::int64_t redis_offset_ms = 0;  // Redis' clock minus ours, when it matters
  // Another stayd works on the same Redis without a shared backup (shared-unsafe): what rows that
  // were merely taken over, and evictions, mean is told in shared.cc.
  bool shared = false;
  // Another Redis is in use than the one that may have executed what is in doubt, until it is
  // trusted: it knows nothing that the ledger does not.
  bool other_memory = false;
  Redirected redirected;  // of a Cluster
  // Logouts that the ledger could not take: they hold in memory, and are tried again each second.
  KeyMap<Hlc> unwritten_tombs;
  Unrecorded unrecorded;
  FleetView* fleet = nullptr;  // of a fleet
  std::multiset<Hlc> making;   // ... versions that may be in Redis and not in the ledger yet
  Mark mark;                   // what a row confirmed by Redis now is marked with

  // What another Redis holds counts again when that one is used (docs/adr/0015).
  bool one_of_several() const { return !options.region.empty(); }
  std::string canary_name() const { return canary_key(place, instance, options.region); }
  // 0: no logout that the ledger could not take is later than a row of this version.
  Hlc tomb_over(std::string_view key, Hlc row_version) const {
    const auto at = unwritten_tombs.find(key);
    return at == unwritten_tombs.end() || at->second < row_version ? 0 : at->second;
  }
  bool up() const { return upstream != nullptr && upstream->up(); }
  std::int64_t deadline_us(std::int64_t ms) const { return now.mono_us + ms * 1000; }
  // An absolute expiry on our clock, as Redis' clock must be told it; one near 2^63 ms as it is.
  std::int64_t redis_time(std::int64_t expires_at_ms) const {
    std::int64_t there_ms = 0;
    const bool fits = !__builtin_add_overflow(expires_at_ms, redis_offset_ms, &there_ms);
    return expires_at_ms == 0 || !fits ? expires_at_ms : there_ms;
  }
};

}  // namespace stayd
