// ShardSet: what a topology changes (docs/adr/0012).
#include <algorithm>
#include <tuple>
#include <utility>

#include "redis/shard_set.h"

namespace stayd {

namespace {
constexpr std::string_view kSlotsMove = "slots of the Cluster change their shard";
constexpr std::string_view kPrimaryMoved = "the Cluster names another primary for this shard";
}  // namespace

void ShardSet::on_topology(const Topology& topology) {
  if (topology.shards.empty() || topology.shards.size() > kMaxShards) return;
  latest_ = topology;
  asks_first_ = false;
  returned_ |= topology.returned;
  const Plan plan = plan_for(topology);
  note_away(plan);
  if (plan_) return;
  if (!plan.moves_slots) {
    latest_.reset();
    return move_connections(plan);
  }
  const bool settled = now_.mono_us - settled_us_ >= options_.settle_ms * 1000;
  if (settled_us_ == 0 || settled) follow(*std::exchange(latest_, std::nullopt));
}

// Connections end first: none is made to the one of before with what the other is logged in to.
void ShardSet::lead_to(const Destination& to, std::string_view cause) {
  options_.stack.link.credentials = to.credentials;
  options_.stack.link.tls = to.tls;
  options_.stack.engine.region = to.region;
  options_.stack.engine.replicas = to.replicas;
  plan_.reset();
  latest_.reset();
  asks_first_ = false;
  end_is_judged_ = true;
  if (ledger_end_) ledger_end_->close();
  returned_.reset();
  for (Unit& unit : units_) {
    unit.config_epoch = 0;  // the other region's are its own
    unit.away.reset();
    unit.stack->log_in_with(to.credentials, to.tls);
    unit.stack->move_to({.port = 0}, cause);
    unit.stack->engine().change_memory(to.region, to.replicas);
  }
  if (to.topology == nullptr) return move_to(to.primary, cause);
  if (router_.holding()) router_.release();
  follow(*to.topology);
}

void ShardSet::follow(const Topology& topology) {
  Plan plan = plan_for(topology);
  returned_.reset();
  plan.moves_slots ? begin(std::move(plan)) : move_connections(plan);
}

// Which unit a shard of the topology is: the one that has been at its primary, as a heartbeat tells
// of a memory; of a primary that is new, the one that has most of its slots.
std::vector<std::optional<std::size_t>> ShardSet::match(const Topology& topology) const {
  struct Pair {
    bool same_primary;
    std::size_t shared, shard, unit;
  };
  std::vector<Pair> pairs;
  for (std::size_t shard = 0; shard < topology.shards.size(); ++shard) {
    for (std::size_t unit = 0; unit < units_.size(); ++unit) {
      const auto shared = (topology.shards[shard].slots & units_[unit].slots).count();
      const Endpoint& primary = topology.shards[shard].primary;
      const bool same = primary.known() && primary.text() == units_[unit].primary.text();
      if (same || shared > 0) pairs.push_back({same, shared, shard, unit});
    }
  }
  std::ranges::sort(pairs, [](const Pair& a, const Pair& b) {
    return std::tuple(b.same_primary, b.shared, a.shard, a.unit) <
           std::tuple(a.same_primary, a.shared, b.shard, b.unit);
  });
  std::vector<std::optional<std::size_t>> unit_of(topology.shards.size());
  std::vector<bool> taken(units_.size());
  for (const Pair& pair : pairs) {
    if (unit_of[pair.shard] || taken[pair.unit]) continue;
    unit_of[pair.shard] = pair.unit;
    taken[pair.unit] = true;
  }
  return unit_of;
}

// A slot that nobody has stays where it was: the ledger answers for it there.
ShardSet::Plan ShardSet::plan_for(const Topology& topology) const {
  Plan plan;
  const SlotSet nobodys = ~topology.covered();
  for (const Unit& unit : units_) {
    plan.slots.push_back(unit.slots & nobodys);
    plan.primaries.push_back(unit.primary);
    plan.config_epochs.push_back(unit.config_epoch);
  }
  const auto unit_of = match(topology);
  for (std::size_t i = 0; i < unit_of.size(); ++i) {
    const ClusterShard& shard = topology.shards[i];
    if (unit_of[i]) {
      plan.slots[*unit_of[i]] |= shard.slots;
      plan.primaries[*unit_of[i]] = shard.primary;
      plan.config_epochs[*unit_of[i]] = shard.config_epoch;
    } else {
      plan.slots.push_back(shard.slots);
      plan.primaries.push_back(shard.primary);
      plan.config_epochs.push_back(shard.config_epoch);
    }
  }
  find_returned(plan);
  plan.moves_slots = plan.slots.size() > units_.size();
  for (std::size_t i = 0; i < units_.size(); ++i) {
    plan.moves_slots = plan.moves_slots || concerned(plan, i);
  }
  return plan;
}

// A failover takes the next config-epoch of all. A higher one is explained by nothing else: slots
// that have come for good may not be all that came.
void ShardSet::find_returned(Plan& plan) const {
  std::uint64_t highest = 0;
  for (const Unit& unit : units_) highest = std::max(highest, unit.config_epoch);
  const auto failed_over = [&](std::size_t i) {
    return plan.primaries[i].text() != units_[i].primary.text();
  };
  for (std::size_t i = 0; i < units_.size(); ++i) highest += failed_over(i) ? 1 : 0;
  for (std::size_t i = 0; i < units_.size(); ++i) {
    const Unit& unit = units_[i];
    const bool higher = unit.config_epoch != 0 && plan.config_epochs[i] > unit.config_epoch;
    const bool explained = failed_over(i) && plan.config_epochs[i] <= highest;
    const SlotSet kept = plan.slots[i] & unit.slots;
    plan.returned.push_back(higher && !explained ? kept : kept & (unit.away | returned_));
  }
}

void ShardSet::note_away(const Plan& heard) {
  for (std::size_t i = 0; i < units_.size(); ++i) {
    units_[i].away |= (plan_ ? plan_->slots[i] : units_[i].slots) & ~heard.slots[i];
  }
}

void ShardSet::move_connections(const Plan& plan) {
  bool moved = false;
  for (std::size_t i = 0; i < units_.size(); ++i) {
    const Endpoint& primary = plan.primaries[i];
    const auto before = std::exchange(units_[i].config_epoch, plan.config_epochs[i]);
    moved = moved || before != plan.config_epochs[i];
    if (!primary.known() || primary.text() == units_[i].stack->endpoint().text()) continue;
    units_[i].primary = primary;
    units_[i].stack->move_to(primary, kPrimaryMoved);
    moved = true;
  }
  if (moved) save();
}

// Nothing new for the shards concerned, and what is under way ends.
void ShardSet::begin(Plan plan) {
  plan_ = std::move(plan);
  std::vector<bool> held(units_.size());
  for (std::size_t i = 0; i < units_.size(); ++i) held[i] = concerned(i);
  router_.hold(std::move(held));
  for (std::size_t i = 0; i < units_.size(); ++i) {
    units_[i].away.reset();
    if (concerned(i)) units_[i].stack->move_to({.port = 0}, kSlotsMove);
  }
}

bool ShardSet::quiet() const {
  for (std::size_t i = 0; i < units_.size(); ++i) {
    const ShardStack& stack = *units_[i].stack;
    if (concerned(i) && (stack.engine().calls_under_way() > 0 || stack.up())) return false;
  }
  return true;
}

// The order matters: every engine has given up what is not its own before another takes it.
void ShardSet::carry_out() {
  const Plan plan = *std::exchange(plan_, std::nullopt);
  std::vector<Handover> given;
  std::vector<std::size_t> growing;
  const std::size_t before = units_.size();
  for (std::size_t i = 0; i < before; ++i) {
    Unit& unit = units_[i];
    if (!concerned(plan, i)) continue;
    const SlotSet gained = (plan.slots[i] & ~unit.slots) | plan.returned[i];
    if (gained.any()) {
      // Never one of before: a ledger that has lost its end has forgotten some.
      unit.version = std::max(unit.version + 1, static_cast<std::uint64_t>(now_.wall_ms));
      growing.push_back(i);
    }
    unit.slots = plan.slots[i];
    ShardPlace place(unit.id, unit.slots, unit.version);
    unit.share->set_slots(place.slots());
    given.push_back(unit.stack->engine().move(std::move(place), gained));
  }
  for (std::size_t i = before; i < plan.slots.size(); ++i) {
    units_.push_back(
        make_unit(std::to_string(next_id_++), 1, plan.slots[i], plan.primaries[i], true));
    units_.back().stack->start(now_);
    growing.push_back(i);
  }
  for (const std::size_t i : growing) {
    Engine& engine = units_[i].stack->engine();
    for (Handover& from : given) engine.take_over(from.of(engine.place()));
  }
  move_connections(plan);
  std::erase_if(units_, [](const Unit& unit) { return unit.slots.none(); });
  save();
  settled_us_ = now_.mono_us;
  tell_router();
  router_.release();
}

}  // namespace stayd
