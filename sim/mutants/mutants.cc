#include "sim/mutants/mutants.h"

namespace stayd::sim {

const std::vector<Mutant>& mutants() {
  using R = Rules;
  static const std::vector<Mutant> all = {
      // --- what is believed of Redis
      {"a miss is proof", "R4", {&R::nil_needs_proof}},
      {"trust right after a reconnect", "R12", {&R::new_connections_are_doubted}},
      {"another region's Redis is taken for the one before",
       "R12",
       {&R::other_memories_are_doubted, &R::heartbeats_compare},  // the next heartbeat tells too
       {"region"}},
      {"suspect only when the heartbeat is older", "R13", {&R::restarts_lose_writes}},
      {"a plain close of a condemned connection",
       "R13",
       {&R::old_connections_are_killed},
       {"straggler"}},
      {"the heartbeat is not read on each connection",
       "R13",
       {&R::connections_look_anew},
       {"connection", "flush", "failover"}},
      {"a reconcile outlives its connection",
       "R13",
       {&R::reconcile_ends_with_connection},
       {"twice", "failover", "connection", "slow-network"}},
      {"a ledger that has lost its end is believed",
       "I8",
       {&R::lost_tail_means_redis_wins},
       {"power-cut", "kill-stayd"}},
      {"heartbeat written without comparing", "R11", {&R::heartbeats_compare}},
      {"no doubt after standing still", "R12", {&R::gaps_are_doubted}},
      {"eviction taken for a deletion", "R4", {&R::evictions_are_no_deletes}},
      {"a new process has evicted nothing",
       "R4",
       {&R::restarts_hide_evictions},
       {"restart", "evict"}},
      {"a stranger's deletion is healed", "R4", {&R::external_deletes_are_meant}},
      // --- debts and S
      {"Redis answers for owed keys", "R1b", {&R::debts_hide_redis}},
      {"any repair settles a debt", "R1b", {&R::debts_have_versions}},
      {"a logout lost on its way is not owed", "R1b", {&R::lost_logouts_are_owed}},
      {"S passes what is owed", "R11", {&R::s_waits_for_debts}},
      {"S passes what the ledger has not written",
       "R11",
       {&R::s_waits_for_ledger},
       {"kill-stayd", "die-slowly"}},
      {"S passes a logout on its way",
       "R11",
       {&R::s_waits_for_calls},
       {"die-slowly", "slow-disk", "kill-stayd"},
       true,
       968},
      {"a repair that was lost is taken for done",
       "R1b",
       {&R::lost_repairs_are_repeated},
       {"twice", "failover", "slow-network", "silence"},
       true,
       341},
      {"S moves while reconciling", "R11", {&R::s_waits_for_reconcile}},
      {"tombstones are not replayed", "R13", {&R::tombstones_are_replayed}},
      {"a repair drops the expiry", "I10", {&R::repairs_keep_expiry}},
      {"the breaker sticks after a refusal", "I14", {&R::refusals_end}},
      // --- commands
      {"two connections for one key", "R6", {&R::one_connection}},
      {"no guards", "R15", {&R::absence_is_guarded}},
      {"a block does not look at its keys again",
       "R15",
       {&R::blocks_probe_their_keys},
       {"evict", "slow-network"}},
      {"the stand-in does not wait for writes on their way", "R6", {&R::slow_roads_start_alone}},
      {"commands overtake a logout that waits for the disk", "R6", {&R::logouts_hold_their_keys}},
      {"told before it is recorded", "R6", {&R::replies_wait_for_the_ledger}},
      {"half a block is recorded",
       "R6",
       {&R::blocks_are_one_batch},
       {"die-slowly", "slow-disk", "freeze"},
       true,
       365},
      {"what a kill cut off is forgotten",
       "R6",
       {&R::leftovers_are_read},
       {"die-slowly", "failover", "freeze", "kill-stayd"}},
      {"in doubt: sent again", "R9", {&R::in_doubt_is_not_sent_again}, {}, false},
      {"a late save is a plain SET", "R8", {&R::late_saves_are_fenced}},
      {"ABSENT is evidence for a fence forever", "R8", {&R::forever_takes_only_nx}},
      {"nil for what is not known", "I5", {&R::unknown_is_never_nil}},
      {"no row is proof before the backfill has ended", "R4", {&R::no_row_is_no_proof}},
      {"a field is taken for the whole hash", "I13", {&R::fields_are_not_the_whole}},
      {"a touch in an outage is not recorded", "I10", {&R::touches_are_recorded}},
      // --- the ledger
      {"the near cache outlives the outage", "R2", {&R::near_cache_is_emptied}},
      {"tombstones are forgotten after a second", "I9", {&R::tombstones_outlive_copies}},
      {"a logout is not synced", "I1", {&R::logouts_are_synced}, {"power-cut"}},
      {"versions start with the clock", "I7", {&R::versions_go_on}, {"clock-jump", "kill-stayd"}},
      {"expiry by the wrong clock", "I10", {&R::clocks_are_compared}, {"restart", "connection"}},
      // --- connections
      {"no deadline", "I12", {&R::replies_have_deadlines}},
      {"a late reply is the next one's", "I11", {&R::late_replies_condemn}, {}, false},
      // --- where Redis is
      {.name = "the Sentinels' epochs do not count",
       .rule = "I14",
       .off = {&R::epochs_count},
       .faults = {"failover", "primary-cut", "sentinel-cut"},
       .found_by = FoundBy::sentinels},
      {.name = "a name is left only when a connection to it ends",
       .rule = "I14",
       .off = {&R::names_are_watched},
       .faults = {"failover"},
       .found_by = FoundBy::name,
       .minutes = 2},
  };
  return all;
}

WorldOptions control_world(const Mutant& mutant, std::uint64_t seed) {
  WorldOptions options;
  options.seed = seed;
  options.minutes = mutant.minutes;
  options.found_by = mutant.found_by;
  if (!mutant.slow_answers_count) options.users.bound_us = 3600 * kSecond;
  if (!mutant.faults.empty())
    options.only_faults.emplace(mutant.faults.begin(), mutant.faults.end());
  return options;
}

WorldOptions mutant_world(const Mutant& mutant, std::uint64_t seed) {
  WorldOptions options = control_world(mutant, seed);
  for (const auto rule : mutant.off) options.instance.engine.rules.*rule = false;
  return options;
}

}  // namespace stayd::sim
