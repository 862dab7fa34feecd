#include "sim/mutants/mutants.h"

namespace stayd::sim {

const std::vector<Mutant>& mutants() {
  using R = Rules;
  static const std::vector<Mutant> all = {
      // --- what is believed of Redis
      {"a miss is proof", "R4", {&R::nil_needs_proof}},
      {"trust right after a reconnect", "R12", {&R::new_connections_are_doubted}},
      {"suspect only when the heartbeat is older", "R13", {&R::restarts_lose_writes}},
      {"heartbeat written without comparing", "R11", {&R::heartbeats_compare}},
      {"no doubt after standing still", "R12", {&R::gaps_are_doubted}},
      {"eviction taken for a deletion", "R4", {&R::evictions_are_no_deletes}},
      {"evictions forgotten at a restart", "R4", {&R::restarts_hide_evictions}},
      // --- debts and S
      {"Redis answers for owed keys", "R1b", {&R::debts_hide_redis}},
      {"any repair settles a debt", "R1b", {&R::debts_have_versions}},
      {"a logout lost on its way is not owed", "R1b", {&R::lost_logouts_are_owed}},
      {"a repair lost on its way counts as done", "R13", {&R::lost_repairs_are_repeated}},
      {"S passes what is owed", "R11", {&R::s_waits_for_debts}},
      {"S passes what the ledger has not written", "R11", {&R::s_waits_for_ledger}},
      {"tombstones are not replayed", "R13", {&R::tombstones_are_replayed}},
      {"a repair drops the expiry", "I10", {&R::repairs_keep_expiry}},
      {"the breaker sticks after a refusal", "I14", {&R::refusals_end}},
      // --- commands
      {"two connections for one key", "R6", {&R::one_connection}},
      {"no guards", "R15", {&R::absence_is_guarded}},
      {"the stand-in does not wait for writes on their way", "R6", {&R::slow_roads_start_alone}},
      {"commands overtake a logout that waits for the disk", "R6", {&R::logouts_hold_their_keys}},
      {"in doubt: sent again", "R9", {&R::in_doubt_is_not_sent_again}, 1, false},
      // --- the ledger
      {"the near cache outlives the outage", "R2", {&R::near_cache_is_emptied}},
      // --- connections
      {"no deadline", "I12", {&R::replies_have_deadlines}},
      {"a late reply is the next one's", "I11", {&R::late_replies_condemn}, 1, false},
  };
  return all;
}

WorldOptions mutant_world(const Mutant* mutant, bool slow_answers_count, std::uint64_t seed) {
  WorldOptions options;
  options.seed = seed;
  options.minutes = 0.5;
  if (!slow_answers_count) options.users.bound_us = 3600 * kSecond;
  if (mutant == nullptr) return options;
  for (const auto rule : mutant->off) options.instance.engine.rules.*rule = false;
  return options;
}

}  // namespace stayd::sim
