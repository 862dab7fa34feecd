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
constexpr std::string_view kKnownFact = "regions_known";      // taken over once: "NAME=ADDRESS"
constexpr std::string_view kUsedFact = "regions_used";        // ever
constexpr std::string_view kVoidFact = "regions_void";        // older than the ledger's beginning
constexpr std::int64_t kChoiceUs = 100'000;

bool lists(const std::string& entries, std::string_view entry) {
  std::istringstream in(entries);
  for (std::string one; in >> one;) {
    if (one == entry) return true;
  }
  return false;
}

// A name that is used for another URL is another Redis.
std::string entry_of(const Region& region) {
  std::string entry = region.name() + "=" + region.target().text();
  std::ranges::replace(entry, ' ', '_');
  return entry;
}

// It holds nothing that the ledger does not, as far as that can be helped: it may be left.
bool all_known(const EngineStatus& status) {
  const bool all = status.ledger_ok && status.to_read_back == 0;
  return status.adoption_complete && (all || status.shard.trust != Trust::trusted);
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
    regions_[i]->set_void(lists(parts_.ledger.fact(kVoidFact), entry_of(*regions_[i])));
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
  of_another_ = shards.status().adoption_complete;
  shards.set_hint([this] { in_use().hint(); });
  shards.set_node_of([this](std::string_view place) { return in_use().address_of(place); });
}

void Regions::reload(const Config& fresh) {
  const auto take_up = [this](const RedisConfig& config) {
    for (const auto& region : regions_) {
      if (region->name() == config.name) region->reload(config);
    }
  };
  take_up(fresh.redis);
  for (const RedisConfig& one : fresh.standby) take_up(one);
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
    go_on();
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
  note_truth(status);
  take_over(status);
  tell_of_health();
  std::vector<RegionHealth> health;
  for (const auto& region : regions_) health.push_back(region->health());
  const RegionInUse facts{.index = in_use_,
                          .trusted = status.shard.trust == Trust::trusted,
                          .out = status.shard.trust == Trust::out,
                          .known = all_known(status),
                          .drained = in_use().drained()};
  const auto to = choice_.decide(now_, facts, health, preferred());
  tell_of_waiting();
  if (!to) return;
  constexpr std::string_view kWhy[] = {"it is out", "the other one comes first and is well again",
                                       "it is drained"};
  begin(to->to, std::string(kWhy[static_cast<std::size_t>(to->cause)]),
        to->cause != RegionCause::failover);
}

void Regions::tell_of_waiting() {
  if (!choice_.waits_for_backfill()) {
    told_waits_ = false;
    return;
  }
  if (std::exchange(told_waits_, true)) return;
  parts_.log.on_event(
      {Severity::warning,
       "region_switch_waits",
       fmt::format("Redis {} would be left for another, but the ledger does not have "
                   "everything of it yet: who has a session only there would be "
                   "logged out (stayd switch NAME --force does it all the same)",
                   in_use().name()),
       {}});
}

void Regions::note_list(std::string_view fact, const std::string& entry, bool listed) {
  std::istringstream in(parts_.ledger.fact(fact));
  std::string entries = listed ? entry : "";
  for (std::string one; in >> one;) {
    if (one != entry) entries += (entries.empty() ? "" : " ") + one;
  }
  if (entries != parts_.ledger.fact(fact)) {
    parts_.ledger.put_fact(std::string(fact), std::move(entries));
  }
}

bool Regions::is_known(std::size_t region) const {
  return lists(parts_.ledger.fact(kKnownFact), entry_of(*regions_[region]));
}

// One that is trusted for the first time is taken over, once.
void Regions::take_over(const EngineStatus& status) {
  if (status.shard.trust == Trust::trusted && !taking_over_) {
    taking_over_ = true;
    if (of_another_ && !is_known(in_use_)) return shards_->restart_adoption();
  }
  const bool ended = taking_over_ && status.adoption_complete;
  if (ended && !is_known(in_use_)) note_list(kKnownFact, entry_of(in_use()), true);
}

// The ledger has started anew from what the one in use holds, without the logouts of before: what
// the others hold of that time would be let in again.
void Regions::note_truth(const EngineStatus& status) {
  if (std::exchange(truths_, status.truths) >= status.truths) return;
  for (std::size_t i = 0; i < regions_.size(); ++i) {
    const bool used = lists(parts_.ledger.fact(kUsedFact), entry_of(*regions_[i]));
    if (i == in_use_ || !used) continue;
    regions_[i]->set_void(true);
    note_list(kVoidFact, entry_of(*regions_[i]), true);
  }
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
    if (well) {
      parts_.log.on_event(
          {Severity::info,
           "region_well",
           fmt::format("Redis {}, not in use, takes writes: it can be used", one.name()),
           {}});
    } else {
      parts_.log.on_event({Severity::warning,
                           "region_ill",
                           fmt::format("Redis {}, not in use, is not well ({}): it cannot be used",
                                       one.name(), trouble),
                           {}});
    }
  }
}

// --- going there

void Regions::begin(std::size_t to, std::string why, bool planned) {
  gate_->hold();
  pending_ = Pending{to, std::move(why), planned, now_.mono_us + kDrainUs};
}

void Regions::go_on() {
  const bool late = now_.mono_us >= pending_->until_us;
  if (pending_->arriving) {
    if (!shards_->up() && !late) return;
    pending_.reset();
    return gate_->release();
  }
  const bool quiet = shards_->calls_under_way() == 0 || !shards_->up();
  const bool known = !pending_->planned || all_known(shards_->status());
  if ((!quiet || !known) && !late) return;
  known ? carry_out() : give_up_switch();
}

void Regions::give_up_switch() {
  parts_.log.on_event({Severity::warning,
                       "region_switch_waits",
                       fmt::format("Redis {} is not left for another: the ledger cannot take what "
                                   "only this one has",
                                   in_use().name()),
                       {}});
  pending_.reset();
  gate_->release();
}

void Regions::lead_to(Region& region) {
  const std::string cause = fmt::format("Redis {} is used from now on", region.name());
  const Topology* topology = region.topology() ? &*region.topology() : nullptr;
  const bool tls = region.target().tls;
  dialer_.use(region.dialer());
  shards_->lead_to(
      {region.name(), region.primary(), topology, &region.credentials(), tls, region.replicas()},
      cause);
  pubsub_->log_in_with(&region.credentials(), tls);
  pubsub_->move_to(topology ? topology->shards.front().primary : region.primary(), cause);
}

void Regions::carry_out() {
  take_over(shards_->status());
  Region& from = in_use();
  in_use_ = pending_->to;
  Region& to = in_use();
  parts_.ledger.put_fact(std::string(kInUseFact), to.name());
  for (const Region* one : {&from, &to}) note_list(kUsedFact, entry_of(*one), true);
  ++parts_.counters.region_switches;
  parts_.log.on_event(
      {Severity::warning,
       "region_switched",
       fmt::format("Redis {} ({}) is used from now on, not {} ({}): {}", to.name(),
                   to.target().text(), from.name(), from.target().text(), pending_->why),
       {}});
  from.set_in_use(false);
  to.set_in_use(true);
  taking_over_ = false;
  of_another_ = true;
  lead_to(to);
  choice_.switched(now_);
  pending_->arriving = true;
  pending_->until_us = now_.mono_us + (pending_->planned ? kArriveUs : 0);
}

// --- by hand

Result<std::string> Regions::switch_to(std::string_view name, bool force) {
  const auto to = index_of(name);
  if (!to) return make_error(Errc::invalid, fmt::format("no [[redis]] is called \"{}\"", name));
  if (pending_) return make_error(Errc::invalid, "another switch is under way; try again");
  Region& region = *regions_[*to];
  if (*to != in_use_) {
    if (region.is_void() && force) {
      region.set_void(false);
      note_list(kVoidFact, entry_of(region), false);
    }
    if (!region.health().well) {
      return make_error(Errc::invalid, fmt::format("{} is not well: {}", name, region.trouble()));
    }
    if (!all_known(shards_->status()) && !force) {
      return make_error(Errc::invalid,
                        fmt::format("the ledger does not have everything of {} yet: who has a "
                                    "session only there would be logged out; --force does it all "
                                    "the same",
                                    in_use().name()));
    }
  }
  region.set_drained(false);
  note_list(kDrainedFact, region.name(), false);
  by_hand_ = *to;
  parts_.ledger.put_fact(std::string(kByHandFact), std::string(name));
  if (*to == in_use_) return fmt::format("{} is in use and stays so", name);
  begin(*to, "it was told to", !force);
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
  note_list(kDrainedFact, regions_[*index]->name(), drained);
  if (!drained) return fmt::format("{} may be used again", name);
  return *index == in_use_ ? fmt::format("{} is left as soon as another is well", name)
                           : fmt::format("{0} is not used until `stayd undrain {0}`", name);
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
                   .known = is_known(i),
                   .well = health.well,
                   .well_since_ms = since_ms,
                   .trouble = i == in_use_ ? "" : one.trouble()});
  }
  return out;
}

}  // namespace stayd
