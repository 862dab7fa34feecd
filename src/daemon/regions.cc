#include "daemon/regions.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <utility>

namespace stayd {

namespace {

constexpr std::string_view kInUseFact = "region_in_use";
constexpr std::string_view kByHandFact = "region_by_hand";
constexpr std::string_view kDrainedFact = "regions_drained";  // names, apart by spaces
constexpr std::string_view kKnownFact = "regions_known";      // whose keys are all in the ledger
constexpr std::int64_t kChoiceUs = 100'000;

bool lists(const std::string& names, std::string_view name) {
  std::istringstream in(names);
  for (std::string one; in >> one;) {
    if (one == name) return true;
  }
  return false;
}

RegionOptions options_of(const RegionsConfig& config) {
  return {.automatic = config.failover == "auto",
          .failover_after_ms = config.failover_after.count(),
          .failback_after_ms = config.failback_after.count()};
}

}  // namespace

Regions::Regions(const Config& config, Region::Parts parts)
    : parts_(parts), choice_(options_of(config.regions)) {
  RegionEvents& self = *this;
  regions_.push_back(std::make_unique<Region>(config.redis, parts, self));
  for (const RedisConfig& one : config.standby) {
    regions_.push_back(std::make_unique<Region>(one, parts, self));
  }
  told_well_.resize(regions_.size(), true);
  for (std::size_t i = 0; i < regions_.size() && several(); ++i) {
    const std::string& name = regions_[i]->name();
    regions_[i]->set_drained(lists(parts_.ledger.fact(kDrainedFact), name));
    if (parts_.ledger.fact(kInUseFact) == name) in_use_ = i;
    if (parts_.ledger.fact(kByHandFact) == name) by_hand_ = i;
  }
  dialer_.use(in_use().dialer());
}

Regions::~Regions() = default;

Result<void> Regions::start() {
  for (const auto& region : regions_) {
    if (const auto started = region->start(); !started) return started.error();
  }
  return {};
}

void Regions::attach(ShardSet& shards, EngineGate& gate, Link& pubsub) {
  shards_ = &shards;
  gate_ = &gate;
  pubsub_ = &pubsub;
  now_ = parts_.loop.now();
  for (std::size_t i = 0; i < regions_.size(); ++i) regions_[i]->watch(i == in_use_);
  shards.set_hint([this] { in_use().hint(); });
  // A life that ended while it was followed: the watch tells only of what is newer.
  if (in_use().topology()) shards.on_topology(*in_use().topology());
}

void Regions::reload(const Config& fresh) {
  regions_.front()->reload(fresh.redis);
  for (std::size_t i = 1; i < regions_.size() && i <= fresh.standby.size(); ++i) {
    if (fresh.standby[i - 1].name == regions_[i]->name()) regions_[i]->reload(fresh.standby[i - 1]);
  }
}

// --- where the one in use is

void Regions::on_primary(Region& region, const Endpoint& primary) {
  constexpr std::string_view kCause = "the Sentinels name another primary";
  if (&region != &in_use()) return;
  shards_->move_to(primary, kCause);
  pubsub_->move_to(primary, kCause);
}

void Regions::on_topology(Region& region, const Topology& topology) {
  if (&region == &in_use()) shards_->on_topology(topology);
}

void Regions::on_node_serves(Region& region, const Endpoint& node) {
  if (&region == &in_use()) shards_->hurry(node);
}

// Any node of a Cluster tells what is published.
void Regions::follow_with_pubsub() {
  if (in_use().cluster() == nullptr || pubsub_->up()) return;
  const Endpoint node = shards_->some_primary();
  if (node.known() && node != pubsub_->endpoint()) {
    pubsub_->move_to(node, "this node does not answer");
  }
}

void Regions::on_tick(Now now) {
  now_ = now;
  in_use().doubt(!shards_->up());
  for (const auto& region : regions_) region->on_tick(now);
  follow_with_pubsub();
  if (!several()) return;
  if (pending_) {
    const bool quiet = shards_->calls_under_way() == 0 || !shards_->up();
    if (quiet || now.mono_us >= pending_->until_us) carry_out();
  } else if (now.mono_us >= next_choice_us_) {
    next_choice_us_ = now.mono_us + kChoiceUs;
    choose();
  }
}

// --- which one is used

std::optional<std::size_t> Regions::index_of(std::string_view name) const {
  const auto at =
      std::ranges::find_if(regions_, [name](const auto& one) { return one->name() == name; });
  if (at == regions_.end() || name.empty()) return std::nullopt;
  return static_cast<std::size_t>(at - regions_.begin());
}

std::size_t Regions::preferred() const {
  return by_hand_.value_or(0);
}

void Regions::choose() {
  const EngineStatus status = shards_->status();
  note_known(status.adoption_complete);
  tell_of_health();
  std::vector<RegionHealth> health;
  for (const auto& region : regions_) health.push_back(region->health());
  const RegionInUse facts{.index = in_use_,
                          .trusted = status.shard.trust == Trust::trusted,
                          .out = status.shard.trust == Trust::out,
                          .known = status.adoption_complete,
                          .drained = in_use().drained()};
  const auto to = choice_.decide(now_, facts, health, preferred());
  if (choice_.waits_for_backfill() && !std::exchange(told_waits_, true)) {
    parts_.log.on_event(
        {Severity::warning,
         "region_switch_waits",
         fmt::format("Redis {} would be left for another, but its keys are not all in "
                     "the ledger yet: who has a session only there would be logged out "
                     "(stayd switch NAME --force does it all the same)",
                     in_use().name()),
         {}});
  }
  if (!choice_.waits_for_backfill()) told_waits_ = false;
  if (!to) return;
  constexpr std::string_view kWhy[] = {"it is out", "the other one comes first and is well again",
                                       "it is drained"};
  begin(to->to, std::string(kWhy[static_cast<std::size_t>(to->cause)]));
}

// A Redis that was taken over once is not taken over again when it is used again.
void Regions::note_known(bool complete) {
  std::string names = parts_.ledger.fact(kKnownFact);
  if (!complete || lists(names, in_use().name())) return;
  names += names.empty() ? in_use().name() : " " + in_use().name();
  parts_.ledger.put_fact(std::string(kKnownFact), std::move(names));
}

void Regions::tell_of_health() {
  for (std::size_t i = 0; i < regions_.size(); ++i) {
    const Region& one = *regions_[i];
    if (i == in_use_) {
      told_well_[i] = true;
      continue;
    }
    const bool well = one.health().well;
    const std::string trouble = one.trouble();
    if (well == told_well_[i] || (!well && trouble.empty())) continue;
    told_well_[i] = well;
    parts_.log.on_event(
        {well ? Severity::info : Severity::warning,
         well ? "region_well" : "region_ill",
         well ? fmt::format("Redis {}, not in use, takes writes: it can be used", one.name())
              : fmt::format("Redis {}, not in use, is not well ({}): it cannot be used", one.name(),
                            trouble),
         {}});
  }
}

// --- going there

void Regions::begin(std::size_t to, std::string why) {
  gate_->hold();
  pending_ = Pending{to, std::move(why), now_.mono_us + kDrainUs};
}

void Regions::lead_to(Region& region, std::string_view cause) {
  dialer_.use(region.dialer());
  const bool tls = region.target().tls;
  shards_->log_in_with(&region.credentials(), tls);
  pubsub_->log_in_with(&region.credentials(), tls);
  if (region.topology()) {
    shards_->on_topology(*region.topology());
    pubsub_->move_to(region.topology()->shards.front().primary, cause);
  } else {
    shards_->move_to(region.primary(), cause);
    pubsub_->move_to(region.primary(), cause);
  }
}

void Regions::carry_out() {
  const Pending pending = *std::exchange(pending_, std::nullopt);
  Region& from = in_use();
  in_use_ = pending.to;
  Region& to = in_use();
  parts_.ledger.put_fact(std::string(kInUseFact), to.name());
  ++parts_.counters.region_switches;
  parts_.log.on_event(
      {Severity::warning,
       "region_switched",
       fmt::format("Redis {} ({}) is used from now on, not {} ({}): {}", to.name(),
                   to.target().text(), from.name(), from.target().text(), pending.why),
       {}});
  from.set_in_use(false);
  to.set_in_use(true);
  lead_to(to, fmt::format("Redis {} is used from now on", to.name()));
  if (!lists(parts_.ledger.fact(kKnownFact), to.name())) shards_->restart_adoption();
  choice_.switched(now_);
  gate_->release();
}

// --- by hand

Result<std::string> Regions::switch_to(std::string_view name, bool force) {
  const auto to = index_of(name);
  if (!to) return make_error(Errc::invalid, fmt::format("no [[redis]] is called \"{}\"", name));
  Region& region = *regions_[*to];
  if (*to != in_use_) {
    if (!region.health().well) {
      return make_error(Errc::invalid, fmt::format("{} is not well: {}", name, region.trouble()));
    }
    if (!shards_->status().adoption_complete && !force) {
      return make_error(Errc::invalid,
                        fmt::format("not every key of {} is in the ledger yet: who has a session "
                                    "only there would be logged out; --force does it all the same",
                                    in_use().name()));
    }
  }
  if (region.drained()) {
    region.set_drained(false);
    save_drained();
  }
  by_hand_ = *to;
  parts_.ledger.put_fact(std::string(kByHandFact), std::string(name));
  if (*to == in_use_) return fmt::format("{} is in use and stays so", name);
  if (!pending_) begin(*to, "it was told to");
  return fmt::format("{} is used from now on", name);
}

Result<std::string> Regions::prefer_order() {
  if (!several()) return make_error(Errc::invalid, "there is only one Redis");
  by_hand_.reset();
  parts_.ledger.put_fact(std::string(kByHandFact), "");
  return fmt::format("{} comes first again; {} is in use", regions_.front()->name(),
                     in_use().name());
}

Result<std::string> Regions::drain(std::string_view name, bool drained) {
  const auto index = index_of(name);
  if (!index) return make_error(Errc::invalid, fmt::format("no [[redis]] is called \"{}\"", name));
  regions_[*index]->set_drained(drained);
  save_drained();
  if (!drained) return fmt::format("{} may be used again", name);
  return *index == in_use_ ? fmt::format("{} is left as soon as another is well", name)
                           : fmt::format("{0} is not used until `stayd undrain {0}`", name);
}

void Regions::save_drained() {
  std::string names;
  for (const auto& region : regions_) {
    if (region->drained()) names += (names.empty() ? "" : " ") + region->name();
  }
  parts_.ledger.put_fact(std::string(kDrainedFact), std::move(names));
}

std::vector<RegionStatus> Regions::status() const {
  std::vector<RegionStatus> out;
  if (!several()) return out;
  for (std::size_t i = 0; i < regions_.size(); ++i) {
    const Region& one = *regions_[i];
    const RegionHealth health = one.health();
    const std::int64_t since_ms =
        health.well ? now_.wall_ms - (now_.mono_us - health.well_since_us) / 1000 : 0;
    out.push_back({.name = one.name(),
                   .address = one.target().text(),
                   .in_use = i == in_use_,
                   .preferred = i == preferred(),
                   .drained = one.drained(),
                   .well = health.well,
                   .well_since_ms = since_ms,
                   .trouble = i == in_use_ ? "" : one.trouble()});
  }
  return out;
}

}  // namespace stayd
