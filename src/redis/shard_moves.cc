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
  returned_ |= topology.returned;
  if (plan_) return;
  const Plan plan = plan_for(topology);
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
  returned_.reset();
  for (Unit& unit : units_) {
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

// Which unit a shard of the topology is: the one that has most of its slots.
std::vector<std::optional<std::size_t>> ShardSet::match(const Topology& topology) const {
  struct Pair {
    std::size_t shared, shard, unit;
  };
  std::vector<Pair> pairs;
  for (std::size_t shard = 0; shard < topology.shards.size(); ++shard) {
    for (std::size_t unit = 0; unit < units_.size(); ++unit) {
      const auto shared = (topology.shards[shard].slots & units_[unit].slots).count();
      if (shared > 0) pairs.push_back({shared, shard, unit});
    }
  }
  std::ranges::sort(pairs, [](const Pair& a, const Pair& b) {
    return std::tuple(b.shared, a.shard, a.unit) < std::tuple(a.shared, b.shard, b.unit);
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
  }
  const auto unit_of = match(topology);
  for (std::size_t i = 0; i < unit_of.size(); ++i) {
    const ClusterShard& shard = topology.shards[i];
    if (unit_of[i]) {
      plan.slots[*unit_of[i]] |= shard.slots;
      plan.primaries[*unit_of[i]] = shard.primary;
    } else {
      plan.slots.push_back(shard.slots);
      plan.primaries.push_back(shard.primary);
    }
  }
  plan.anew = returned_;
  plan.moves_slots = plan.slots.size() > units_.size() || plan.anew.any();
  for (std::size_t i = 0; i < units_.size(); ++i) {
    plan.moves_slots = plan.moves_slots || plan.slots[i] != units_[i].slots;
  }
  return plan;
}

void ShardSet::move_connections(const Plan& plan) {
  bool moved = false;
  for (std::size_t i = 0; i < units_.size(); ++i) {
    const Endpoint& primary = plan.primaries[i];
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

// What it held about slots that are not its any more.
Handover ShardSet::resize(Unit& unit, const SlotSet& slots) {
  unit.slots = slots;
  ShardPlace place(unit.id, slots, unit.version);
  unit.share->set_slots(place.slots());
  return unit.stack->engine().move(std::move(place));
}

// The order matters: every engine has given up what is not its own before another takes it.
void ShardSet::carry_out() {
  const Plan plan = *std::exchange(plan_, std::nullopt);
  std::vector<Handover> given;
  std::vector<std::size_t> growing;
  const std::size_t before = units_.size();
  for (std::size_t i = 0; i < before; ++i) {
    Unit& unit = units_[i];
    const SlotSet others = unit.slots & ~plan.anew;
    if (others != unit.slots && others.any()) given.push_back(resize(unit, others));
    if (plan.slots[i] == unit.slots) continue;
    if ((plan.slots[i] & ~unit.slots).any()) {
      ++unit.version;
      growing.push_back(i);
    }
    given.push_back(resize(unit, plan.slots[i]));
  }
  for (std::size_t i = before; i < plan.slots.size(); ++i) {
    units_.push_back(make_unit(std::to_string(next_id_++), 1, plan.slots[i], plan.primaries[i]));
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
