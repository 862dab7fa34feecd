// What stayd counts. Plain cells, written by the engine loop only, read by a scrape on the same
// loop: counting costs one add. The names here are the metric names (docs/metrics in operating.md),
// with prefix "stayd_" and suffix "_total" for counters.
#pragma once

#include <array>
#include <cstdint>

namespace stayd {

// X(name, help)
#define STAYD_COUNTERS(X)                                                                          \
  X(commands, "Commands received from clients")                                                    \
  X(replies_from_redis, "Commands answered by Redis")                                              \
  X(replies_from_ledger, "Commands answered by the stand-in on the ledger's records")              \
  X(replies_from_replicas, "Commands answered by a replica while its primary was out")             \
  X(replica_misses, "Commands a replica was to answer and did not, or with what proves nothing")   \
  X(replica_failures, "Connections to replicas that failed, or ended while they were needed")      \
  X(replies_local, "Commands answered by the Redis port itself")                                   \
  X(unknown_replies, "Commands answered 'session state temporarily unknown'")                      \
  X(unavailable_replies, "Commands on other keys refused because Redis is out")                    \
  X(in_doubt_commands, "Commands whose connection was lost before Redis' reply")                   \
  X(refused_by_redis, "Commands Redis refused without applying (LOADING, OOM, READONLY, ...)")     \
  X(absent_checks, "Absent-looking replies checked against the ledger")                            \
  X(lost_keys_healed, "Keys that Redis had lost and stayd put back")                               \
  X(external_deletes, "Keys found deleted by someone else")                                        \
  X(fenced_writes, "Late writes of logged-out sessions that were dropped")                         \
  X(logouts, "Tombstones written")                                                                 \
  X(logouts_degraded, "Logouts acknowledged without a durable tombstone")                          \
  X(logouts_unreplicated, "Logouts acknowledged before as many replicas had them as asked for")    \
  X(adopted_keys, "Keys taken over from Redis into the ledger")                                    \
  X(repairs, "Rows written to Redis from the ledger")                                              \
  X(repairs_refused, "Repairs that Redis refused")                                                 \
  X(read_backs, "Keys read back from Redis after an opaque write")                                 \
  X(unmirrored_scripts, "Scripts that name no key and may write: not in the ledger")               \
  X(leftover_keys, "Keys of writes that were on their way when stayd was killed")                  \
  X(unnoted_writes, "Writes that found no room in the in-flight table and were marked instead")    \
  X(canary_writes, "Heartbeats written")                                                           \
  X(canary_mismatches, "Heartbeats that found another value than the last written")                \
  X(shard_out, "Times the shard went OUT")                                                         \
  X(shard_trusted, "Times the shard became TRUSTED")                                               \
  X(connects, "Connection attempts to Redis")                                                      \
  X(connect_failures, "Connection attempts to Redis that failed or did not pass the gate")         \
  X(logins_refused, "Connections that Redis, or a Sentinel, refused for the password or the user") \
  X(old_password_logins, "Logins with the password before, as Redis refused the present one")      \
  X(password_read_failures, "Times a password file or command gave no password")                   \
  X(login_probes, "Connections made to see whether a login would succeed")                         \
  X(login_probe_failures, "... that failed")                                                       \
  X(condemned_connections, "Connections to Redis closed because of a late or impossible reply")    \
  X(primary_switches, "Times Sentinels or a Cluster named another primary")                        \
  X(region_switches, "Times another [[redis]] was used from then on")                              \
  X(name_moves, "Times a name of Redis led to another address than before")                        \
  X(name_failures, "Questions for a name of Redis without an answer")                              \
  X(backup_shipped, "Rows that the backup has taken")                                              \
  X(backup_conflicts, "Rows in whose place the backup had another one than was expected")          \
  X(backup_reads, "Keys that the backup was asked for, or was to be")                              \
  X(backup_reads_alone, "... and did not answer for: the ledger alone did")                        \
  X(backup_restores, "Times the backup was another one, or one from an earlier time")              \
  X(ledger_errors, "Ledger operations that failed")                                                \
  X(protocol_errors, "Client connections closed for protocol errors")                              \
  X(tls_handshakes_failed, "Clients whose TLS handshake failed, or took too long")                 \
  X(limit_closes, "Client connections closed for a limit (output, input, time)")

struct Counters {
#define X(name, help) std::uint64_t name = 0;
  STAYD_COUNTERS(X)
#undef X
};

}  // namespace stayd
