// The rules as switches, one for each, for tests only: the mutation gate (sim/mutants/) turns one
// off at a time and shows that the proof notices. Every rule holds by default, and everywhere else;
// there is no setting for them.
//
// Plain values, fixed when the engine is made; read on the engine loop. Numbers are those of
// docs/architecture.md.
#pragma once

namespace stayd {

struct Rules {
  // --- what is believed of Redis
  bool nil_needs_proof = true;              // R4: a miss is checked with the ledger
  bool new_connections_are_doubted = true;  // R12: SUSPECT until reconciled
  bool restarts_lose_writes = true;         // R13: a new process is doubted, whatever its heartbeat
  bool other_memories_are_doubted = true;   // R12: another of several Redises is used instead
  bool heartbeats_compare = true;           // R11: another value than the last one written: SUSPECT
  bool connections_look_anew = true;        // R13: each new one reads the heartbeat itself
  bool gaps_are_doubted = true;             // R12: no heartbeat for 3 s: SUSPECT
  bool reconcile_ends_with_connection = true;  // R13
  bool evictions_are_no_deletes = true;        // R4
  bool restarts_hide_evictions = true;         // R4: a new process counts its evictions from 0
  bool external_deletes_are_meant = true;      // R4
  bool lost_tail_means_redis_wins =
      true;  // a heartbeat ahead of the ledger: the ledger starts anew

  // --- debts and the position S
  bool debts_hide_redis = true;       // R1b: an owed key is answered from the ledger
  bool debts_have_versions = true;    // R1b: only the version owed, or a newer one, settles it
  bool lost_logouts_are_owed = true;  // R1b: UNLINK in doubt
  bool lost_repairs_are_repeated = true;
  bool s_waits_for_debts = true;        // R11: S stays below what is owed,
  bool s_waits_for_calls = true;        //   below what stands in the ledger and not in Redis yet,
  bool s_waits_for_ledger = true;       //   below what the ledger has not written yet,
  bool s_waits_for_reconcile = true;    //   and where it was found until all is replayed
  bool tombstones_are_replayed = true;  // R13
  bool old_connections_are_killed = true;  // R13: CLIENT KILL of what a frozen Redis still holds
  bool repairs_keep_expiry = true;         // R7
  bool refusals_end = true;                // I14: OOM, MISCONF

  // --- commands
  bool unjudged_writes_are_redone = true;   // R12: a reply that depends on a memory not trusted
  bool one_connection = true;               // all writes of a key on one connection
  bool absence_is_guarded = true;           // R15
  bool blocks_probe_their_keys = true;      // R15, inside MULTI
  bool slow_roads_start_alone = true;       // no write of the key is on its way meanwhile
  bool logouts_hold_their_keys = true;      // until they are durable
  bool replies_wait_for_the_ledger = true;  // R6
  bool reads_wait_for_the_ledger = true;    // R6: what was read is recorded
  bool in_doubt_is_not_sent_again = true;   // R9
  bool blocks_are_one_batch = true;         // MULTI
  bool late_saves_are_fenced = true;        // R8: SET of a fenced key goes as SET XX
  bool forever_takes_only_nx = true;        // R8: an answer ABSENT is no evidence
  bool unknown_is_never_nil = true;         // I5
  bool no_row_is_no_proof = true;           // R4: in an outage, before adoption is complete
  bool adoption_keeps_rows = true;          // R4: what the ledger knows stays
  bool fields_are_not_the_whole = true;     // I13: of a hash
  bool stale_rows_do_not_answer = true;     // R17
  bool stale_rows_do_not_repair = true;     // R17
  bool flushes_are_meant = true;            // R18: after a restore too
  bool touches_are_recorded = true;         // I10: in an outage too

  // --- the ledger
  bool logouts_are_synced = true;         // I1
  bool near_cache_is_emptied = true;      // when Redis answers again
  bool tombstones_outlive_copies = true;  // I9
  bool versions_go_on = true;             // I7: the hlc starts above the ledger's highest
  bool clocks_are_compared = true;        // I10: Redis' clock with ours
  bool leftovers_are_read = true;         // the in-flight table, after kill -9

  // --- connections (redis/link.h)
  bool replies_have_deadlines = true;
  bool late_replies_condemn = true;  // I11: a late reply belongs to another request

  // --- where Redis is (redis/election.h, redis/name_dialer.h)
  bool epochs_count = true;       // I14: of what Sentinels say the highest config-epoch wins
  bool names_are_watched = true;  // I14: a connection ends when its name has left the address
};

}  // namespace stayd
