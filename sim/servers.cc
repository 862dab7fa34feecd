#include "sim/servers.h"

#include <algorithm>

#include "base/error.h"

namespace stayd::sim {

namespace {

constexpr std::uint16_t kFirstPort = 7000;
constexpr std::uint16_t kPortsOfAShard = 10'000;
constexpr std::size_t kMembers = 3;  // a primary and its replicas, as Sentinels know them
constexpr std::int64_t kFirstToldUs = 50 * kMs, kLastToldUs = 2 * kSecond;
constexpr std::int64_t kTryAgainUs = 20 * kMs;
constexpr std::int64_t kLongestLagUs = 5 * kSecond;  // of a replica; stayd's bound is 3 s

}  // namespace

Servers::Servers(Scheduler& scheduler, Random& random, Random own, int shards, FoundBy found_by)
    : scheduler_(scheduler),
      own_(own),
      found_by_(found_by),
      shards_(static_cast<std::size_t>(shards)),
      standby_random_(own),
      standby_(std::make_unique<RedisModel>(scheduler, standby_random_)) {
  STAYD_ASSERT(cluster() || shards == 1);
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    shards_[i].primary = std::make_unique<RedisModel>(scheduler, random);
    shards_[i].port = static_cast<std::uint16_t>(kFirstPort + i * kPortsOfAShard);
    shards_[i].epoch = i + 1;  // no two are equal
    if (!cluster()) continue;
    RedisModel::Place& place = (*this)[i].place.emplace();
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
      place.own[slot] = slot * shards_.size() / kSlots == i;
    }
    place.address_of = [this](Slot slot) {
      for (std::size_t j = 0; j < shards_.size(); ++j) {
        if (slots(j)[slot]) return endpoint(j).text();
      }
      return std::string();
    };
  }
  if (found_by_ == FoundBy::sentinels) {
    sentinels_ = std::make_unique<Sentinels>(scheduler, Random(own.next()), *this);
  } else if (found_by_ == FoundBy::name) {
    names_ = std::make_unique<Names>(scheduler, Random(own.next()), *this);
  }
}

Endpoint Servers::place(std::uint16_t port) const {
  if (found_by_ != FoundBy::name) return {"redis", port, ""};
  return {"10.0.0." + std::to_string(port - kFirstPort + 1), 6379, ""};
}

std::size_t Servers::shard_of(const FullKey& key) const {
  std::size_t shard = 0;
  while (shard + 1 < shards_.size() && !(*this)[shard].owns(key)) ++shard;
  return shard;
}

bool Servers::lack(const FullKey& key) const {
  if (of(key).data().contains(key)) return false;
  const bool on_its_way = moving() && parts_.front()[slot_of(key_of(key))];
  return !on_its_way || !(*this)[to_].data().contains(key);
}

bool Servers::elsewhere(const FullKey& key, std::string_view address) const {
  if (!cluster()) return false;
  const std::size_t shard = shard_of(key);
  const bool on_its_way = moving() && parts_.front()[slot_of(key_of(key))];
  return on_its_way || endpoint(shard).text() != address;
}

bool Servers::ever_took(const FullKey& key) const {
  return std::ranges::any_of(
      shards_, [&](const Shard& shard) { return shard.primary->taken().contains(key); });
}

std::set<FullKey> Servers::keys() const {
  std::set<FullKey> keys;
  for (const Shard& shard : shards_) {
    for (const auto& [key, record] : shard.primary->data()) {
      if (shard.primary->owns(key)) keys.insert(key);
    }
  }
  return keys;
}

RedisModel* Servers::replica() {
  const RedisModel& primary = *shards_[0].primary;
  auto& one = *replicas_.emplace_back(std::make_unique<RedisModel>(scheduler_, own_));
  const auto lag_us = static_cast<std::int64_t>(own_.below(kLongestLagUs));
  one.start_as_replica_of(primary, primary.changes_since(scheduler_.now_us() - lag_us));
  one.flags.replica = true;
  one.clock_offset_ms = primary.clock_offset_ms;
  return &one;
}

Server* Servers::at(const Endpoint& to) {
  if (sentinels_ && to.host == Sentinels::kHost) return sentinels_->at(to);
  return to.host == kReplica ? replica() : redis_at(to);
}

RedisModel* Servers::redis_at(const Endpoint& to) {
  if (found_by_ == FoundBy::address) return shards_[0].primary.get();
  for (Shard& shard : shards_) {
    if (place(shard.port) == to) return shard.primary.get();
    for (std::size_t i = shard.deposed.size(); i > 0; --i) {  // the last one that was there
      if (place(shard.deposed_ports[i - 1]) == to) return shard.deposed[i - 1].get();
    }
  }
  return nullptr;
}

std::size_t Servers::shard_at(std::string_view address) const {
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    const auto is = [&](std::uint16_t port) { return place(port).text() == address; };
    if (is(shards_[i].port) || std::ranges::any_of(shards_[i].deposed_ports, is)) return i;
  }
  return 0;
}

RedisModel& Servers::promote(std::size_t number, std::size_t lost_changes) {
  Shard& shard = shards_[number];
  if (!shard.deposed.empty()) shard.deposed.back()->kill();
  shard.deposed.push_back(shard.primary->promote_replica(lost_changes));
  shard.deposed_ports.push_back(shard.port);
  if (sentinels_ || names_) {
    const auto steps = shard.port - kFirstPort + 1 + own_.below(kMembers - 1);
    shard.port = static_cast<std::uint16_t>(kFirstPort + steps % kMembers);
  }
  if (names_) names_->on_promoted();
  if (cluster()) {
    ++shard.port;
    shard.epoch = highest_epoch() + 1;
    on_changed();
  }
  return *shard.deposed.back();
}

bool Servers::two_primaries() const {
  return std::ranges::any_of(shards_, [](const Shard& shard) {
    return !shard.deposed.empty() && shard.deposed.back()->listening();
  });
}

RedisModel* Servers::deposed(std::size_t shard) const {
  return shards_[shard].deposed.empty() ? nullptr : shards_[shard].deposed.back().get();
}

// --- slots move -----------------------------------------------------------------------------

bool Servers::move_slots(std::size_t from, std::size_t to, const SlotSet& slots, std::size_t steps,
                         std::int64_t pause_us) {
  const SlotSet going = slots & this->slots(from);
  if (moving() || from == to || going.none()) return false;
  from_ = from, to_ = to, pause_us_ = pause_us;
  const std::size_t part = (going.count() + steps - 1) / steps;
  std::size_t taken = 0;
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    if (!going[slot]) continue;
    if (taken++ % part == 0) parts_.emplace_back();
    parts_.back().set(slot);
  }
  begin_part();
  return true;
}

void Servers::begin_part() {
  RedisModel::Place& place = *(*this)[from_].place;
  place.migrating = parts_.front();
  place.migrates_to = endpoint(to_).text();
  scheduler_.after(pause_us_, [this] { move_on(); });
}

std::uint64_t Servers::highest_epoch() const {
  return std::ranges::max_element(shards_, {}, &Shard::epoch)->epoch;
}

// As MIGRATE needs both.
bool Servers::takes_part(const RedisModel& server) {
  const ServerFlags& flags = server.flags;
  const bool refuses = flags.loading || flags.busy || flags.no_memory || flags.misconf ||
                       flags.no_replicas || flags.replica || flags.master_down;
  return server.listening() && !flags.frozen && !refuses;
}

void Servers::move_on() {
  RedisModel& from = (*this)[from_];
  RedisModel& to = (*this)[to_];
  if (!takes_part(from) || !takes_part(to)) {
    scheduler_.after(kTryAgainUs, [this] { move_on(); });
    return;
  }
  const SlotSet& part = parts_.front();
  const auto key = std::ranges::find_if(
      from.data(), [&](const auto& one) { return part[slot_of(key_of(one.first))]; });
  if (key != from.data().end()) {
    from.migrate(key->first, to);
    scheduler_.after(pause_us_, [this] { move_on(); });
    return;
  }
  to.place->own |= part;
  from.place->own &= ~part;
  from.place->migrating.reset();
  Shard& gains = shards_[to_];
  if (gains.epoch != highest_epoch()) gains.epoch = highest_epoch() + 1;  // as in Redis
  parts_.pop_front();
  on_changed();
  if (moving()) begin_part();
}

// --- who hears of it ------------------------------------------------------------------------

Topology Servers::topology() const {
  Topology topology;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    if (slots(i).none()) continue;
    topology.shards.push_back({.primary_id = "node" + std::to_string(shards_[i].port),
                               .primary = endpoint(i),
                               .config_epoch = shards_[i].epoch,
                               .slots = slots(i),
                               .replicas = {}});
  }
  std::ranges::sort(topology.shards, {}, [](const ClusterShard& shard) {
    std::size_t lowest = 0;
    while (!shard.slots[lowest]) ++lowest;
    return lowest;
  });
  return topology;
}

std::size_t Servers::listen(Listener listener) {
  ears_.push_back({.listener = std::move(listener)});
  return ears_.size() - 1;
}

void Servers::on_changed() {
  for (std::size_t i = 0; i < ears_.size(); ++i) {
    const auto late = own_.below(static_cast<std::uint64_t>(kLastToldUs - kFirstToldUs));
    tell(i, kFirstToldUs + static_cast<std::int64_t>(late));
  }
}

void Servers::tell(std::size_t listener, std::int64_t delay_us) {
  Ear& ear = ears_[listener];
  ear.last_us = std::max(ear.last_us + 1, scheduler_.now_us() + delay_us);
  scheduler_.at(ear.last_us, [this, listener, is = topology()] { ears_[listener].listener(is); });
}

}  // namespace stayd::sim
