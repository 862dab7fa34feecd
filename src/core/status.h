// A snapshot of the engine for /readyz, /metrics, `stayd status` and tests. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/store.h"

namespace stayd {

enum class Trust : std::uint8_t { out, suspect, trusted };

struct ShardStatus {
  std::string address;
  Trust trust = Trust::out;
  bool connected = false;
  bool reads_closed = true, writes_closed = true,
       deletes_closed = true;        // circuit breaker: closed = working
  std::string reason;                // why it is not TRUSTED, for people
  std::int64_t since_ms = 0;         // wall clock of the last change of `trust`
  bool shared_unsafe = false;        // another stayd without a shared backup was seen
  std::uint64_t debts = 0;           // rows Redis has not confirmed
  bool debts_complete = true;        // false: more than the table holds; a full scan will find them
  std::uint64_t reconcile_done = 0;  // rows replayed in the current reconcile
  std::uint32_t trust_epoch = 0;
  std::string run_id;
  std::int64_t last_heartbeat_ms = 0;
  std::int64_t round_trip_us = 0;  // of the last heartbeat
};

// One of a Redis Cluster's.
struct NamedShard {
  ShardStatus status;
  std::string id;
  std::string slots;  // "0-5460 7000"
};

struct EngineStatus {
  ShardStatus shard;  // of a Cluster: the one that is least trusted, with the debts of all
  std::vector<NamedShard> shards;  // of a Cluster: each
  bool adoption_complete = false;
  bool adoption_settled = false;        // of a Cluster a little later: no row means no key
  std::uint64_t adopted = 0;            // keys taken over since the start
  std::uint64_t adoption_scanned = 0;   // keys that the last backfill has seen
  std::uint64_t adoption_expected = 0;  // as Redis counted them when it began
  bool ledger_ok = true;
  std::uint64_t to_read_back = 0;  // keys of which only Redis has the last value
  std::uint64_t truths = 0;        // times the ledger started anew from Redis, since the start
  std::string mode = "protect";    // protect | observe
  std::uint64_t calls_under_way = 0;
  std::uint64_t replicas_known = 0;  // that may be asked while their primary is out
  std::uint64_t cached_records = 0, cached_bytes = 0;
  StoreStats store;
};

}  // namespace stayd
