#include "sim/faults.h"

#include <algorithm>
#include <array>
#include <memory>

#include "core/side_keys.h"
#include "sim/world.h"

namespace stayd::sim {

std::span<const FaultKind> fault_kinds() {
  static constexpr std::array kKinds{
      FaultKind{"restart", 15 * kSecond, [](Faults& f) { return f.restart_redis(); }},
      FaultKind{"freeze", 10 * kSecond, [](Faults& f) { return f.freeze_redis(); }},
      FaultKind{"connection", 3 * kSecond, [](Faults& f) { return f.lose_connection(); }},
      FaultKind{"silence", 8 * kSecond, [](Faults& f) { return f.silence(); }},
      FaultKind{"loading", 15 * kSecond, [](Faults& f) { return f.refuse(&ServerFlags::loading); }},
      FaultKind{"busy", 15 * kSecond, [](Faults& f) { return f.refuse(&ServerFlags::busy); }},
      FaultKind{"oom", 12 * kSecond, [](Faults& f) { return f.refuse(&ServerFlags::no_memory); }},
      FaultKind{"misconf", 15 * kSecond, [](Faults& f) { return f.refuse(&ServerFlags::misconf); }},
      FaultKind{"readonly", 15 * kSecond,
                [](Faults& f) { return f.refuse(&ServerFlags::replica); }},
      FaultKind{"noreplicas", 15 * kSecond,
                [](Faults& f) { return f.refuse(&ServerFlags::no_replicas); }},
      FaultKind{"masterdown", 20 * kSecond,
                [](Faults& f) { return f.refuse(&ServerFlags::master_down); }},
      FaultKind{"tryagain", 20 * kSecond,
                [](Faults& f) { return f.refuse(&ServerFlags::try_again); }},
      FaultKind{"noauth", 15 * kSecond, [](Faults& f) { return f.refuse(&ServerFlags::no_auth); }},
      FaultKind{"maxclients", 15 * kSecond, [](Faults& f) { return f.refuse(&ServerFlags::full); }},
      FaultKind{"noperm", 20 * kSecond, [](Faults& f) { return f.deny_command(); }},
      FaultKind{"half-open", 5 * kSecond, [](Faults& f) { return f.halve_connection(); }},
      FaultKind{"straggler", 5 * kSecond, [](Faults& f) { return f.delay_connection(); }},
      FaultKind{"external-del", 3 * kSecond, [](Faults& f) { return f.delete_past_stayd(); }},
      FaultKind{"external-set", 10 * kSecond, [](Faults& f) { return f.write_past_stayd(); }},
      FaultKind{"power-cut", 20 * kSecond, [](Faults& f) { return f.cut_power(); }},
      FaultKind{"lying-fsync", 30 * kSecond, [](Faults& f) { return f.lie_about_syncs(); }},
      FaultKind{"disk-full", 20 * kSecond,
                [](Faults& f) { return f.fail_disk(FaultyStore::Operation::apply); }},
      FaultKind{"disk-unreadable", 20 * kSecond,
                [](Faults& f) { return f.fail_disk(FaultyStore::Operation::load); }},
      FaultKind{"bit-flip", 10 * kSecond, [](Faults& f) { return f.flip_bit(); }},
      FaultKind{"clock-jump", 15 * kSecond, [](Faults& f) { return f.jump_clock(); }},
      FaultKind{"evict", 2 * kSecond, [](Faults& f) { return f.evict(); }},
      FaultKind{"flush", 15 * kSecond, [](Faults& f) { return f.flush(); }},
      FaultKind{"slow-redis", 8 * kSecond, [](Faults& f) { return f.slow_redis(); }},
      FaultKind{"slow-network", 8 * kSecond, [](Faults& f) { return f.slow_network(); }},
      FaultKind{"kill-stayd", 12 * kSecond, [](Faults& f) { return f.kill_stayd(); }},
      FaultKind{"pause-stayd", 8 * kSecond, [](Faults& f) { return f.pause_stayd(); }},
      FaultKind{"slow-disk", 8 * kSecond, [](Faults& f) { return f.slow_disk(); }},
      FaultKind{"backfill", 15 * kSecond, [](Faults& f) { return f.repeat_backfill(); }},
      FaultKind{"twice", 15 * kSecond, [](Faults& f) { return f.strike_twice(); }},
      FaultKind{"die-slowly", 15 * kSecond, [](Faults& f) { return f.die_slowly(); }},
      FaultKind{"hidden-failover", 15 * kSecond,
                [](Faults& f) { return f.fail_over_in_a_pause(); }},
      FaultKind{"failover", 12 * kSecond, [](Faults& f) { return f.fail_over(); }},
      FaultKind{"region", 12 * kSecond, [](Faults& f) { return f.change_region(); },
                FoundBy::address},
      FaultKind{"slot-move", 6 * kSecond, [](Faults& f) { return f.move_slots(); },
                FoundBy::cluster},
      FaultKind{"slot-move-and", 12 * kSecond, [](Faults& f) { return f.move_slots_and_strike(); },
                FoundBy::cluster},
      FaultKind{"shard-out", 30 * kSecond, [](Faults& f) { return f.lose_shard(); },
                FoundBy::cluster},
      FaultKind{"primary-cut", 20 * kSecond, [](Faults& f) { return f.cut_primary(); },
                FoundBy::sentinels},
      FaultKind{"sentinel", 5 * kSecond, [](Faults& f) { return f.lose_sentinel(); },
                FoundBy::sentinels},
      FaultKind{"sentinel-cut", 10 * kSecond, [](Faults& f) { return f.cut_sentinels(); },
                FoundBy::sentinels},
      FaultKind{"sentinels-new", 60 * kSecond, [](Faults& f) { return f.replace_sentinels(); },
                FoundBy::sentinels},
      FaultKind{"name", 10 * kSecond, [](Faults& f) { return f.lose_name(); }, FoundBy::name},
      FaultKind{"name-split", 15 * kSecond, [](Faults& f) { return f.split_name(); },
                FoundBy::name},
      FaultKind{"name-dead", 15 * kSecond, [](Faults& f) { return f.dilute_name(); },
                FoundBy::name},
      FaultKind{"backup-down", 15 * kSecond,
                [](Faults& f) { return f.lose_backup(&MemoryDatabase::down); }, std::nullopt, true},
      FaultKind{"backup-frozen", 15 * kSecond,
                [](Faults& f) { return f.lose_backup(&MemoryDatabase::frozen); }, std::nullopt,
                true},
      FaultKind{"backup-read-only", 20 * kSecond,
                [](Faults& f) { return f.lose_backup(&MemoryDatabase::read_only); }, std::nullopt,
                true},
      FaultKind{"backup-cut", 10 * kSecond, [](Faults& f) { return f.cut_from_backup(); },
                std::nullopt, true},
  };
  return kKinds;
}

Faults::Faults(World& world)
    : world_(world), promotion_random_(stream(world.options.seed, "promotion")) {
  if (Sentinels* sentinels = world.servers.sentinels()) sentinels->promote = [this] { promote(); };
}

std::int64_t Faults::between(std::int64_t low_us, std::int64_t high_us) {
  // More short ones than long ones: the square of a uniform number.
  const double part = static_cast<double>(random_->below(1'000'000)) / 1e6;
  return low_us + static_cast<std::int64_t>(part * part * static_cast<double>(high_us - low_us));
}

void Faults::later(std::int64_t delay_us, std::function<void()> action) {
  world_.scheduler.after(delay_us, [this, random = random_, action = std::move(action)] {
    if (healed_) return;
    random_ = random;
    action();
  });
}

void Faults::note(const std::string& text) {
  world_.diary.note("-- " + text);
}

// Redis forgets something.
void Faults::note_loss(const std::string& text) {
  note(text);
  world_.users.loosen_roaming("W16: " + text);
}

std::string Faults::name_of(std::size_t shard) const {
  return world_.servers.cluster() ? "Redis " + std::to_string(shard) : "Redis";
}

Instance& Faults::victim() {
  auto& all = world_.instances;
  return *all[all.size() == 1 ? 0 : random_->below(all.size())];
}

std::size_t Faults::struck() {
  return world_.servers.cluster() ? random_->below(world_.servers.size()) : 0;
}

void Faults::start() {
  for (const FaultKind& kind : fault_kinds()) {
    const auto mean = world_.options.fault_means_us.find(kind.name);
    if (mean == world_.options.fault_means_us.end()) continue;
    randoms_.push_back(std::make_unique<Random>(stream(world_.options.seed, kind.name)));
    random_ = randoms_.back().get();
    plan(kind, mean->second);
  }
}

void Faults::plan(const FaultKind& kind, std::int64_t mean_us) {
  const auto pause = random_->below(static_cast<std::uint64_t>(2 * mean_us));
  later(static_cast<std::int64_t>(pause), [this, &kind, mean_us] {
    if (kind.strike(*this)) ++world_.faults_struck[kind.name];
    plan(kind, mean_us);
  });
}

void Faults::heal() {
  healed_ = true;
  note("faults end");
  for (std::size_t i = 0; i < world_.servers.size(); ++i) {
    RedisModel& redis = world_.servers[i];
    redis.reply_delay_us = 0;
    if (RedisModel* old = world_.servers.deposed(i)) old->kill();
    if (!redis.listening()) redis.start(0);
    redis.thaw();
    redis.flags = ServerFlags{};
    redis.denied.clear();
  }
  world_.backup.down = world_.backup.frozen = world_.backup.read_only = false;
  world_.users.end_all_without_backup();
  if (Sentinels* sentinels = world_.servers.sentinels()) sentinels->heal();
  if (Names* names = world_.servers.names()) names->heal();
  for (const auto& one : world_.instances) {
    one->network().be_fast();
    one->network().speak();
    one->cut_from_backup(false);
    one->disk().be_well();
    if (!one->alive()) one->start();
  }
}

// --- strangers --------------------------------------------------------------------------------

std::optional<FullKey> Faults::pick_key() {
  const RedisModel& redis = world_.servers[struck()];
  const auto& data = redis.data();
  if (data.empty() || !redis.listening() || !adopted()) return std::nullopt;
  auto it = data.begin();
  std::advance(it, static_cast<std::ptrdiff_t>(random_->below(data.size())));
  if (is_side_key(key_of(it->first)) || !redis.owns(it->first)) return std::nullopt;
  return it->first;
}

bool Faults::delete_past_stayd() {
  const auto key = pick_key();
  if (!key) return false;
  note("a stranger deletes " + std::string(key_of(*key)));
  world_.users.in_doubt(*key, {.commands = {{"DEL", std::string(key_of(*key))}}});
  world_.servers.of(*key).remove(*key);
  return true;
}

// W8: until the key is written through stayd, the next outage may show the older value.
bool Faults::write_past_stayd() {
  const auto key = pick_key();
  if (!key) return false;
  const Record& before = world_.servers.of(*key).data().at(*key);
  if (before.type() != ValueType::string || key_of(*key).starts_with("count:")) return false;
  note("a stranger writes " + std::string(key_of(*key)));
  const std::string value = "stranger" + std::to_string(random_->below(1'000'000));
  world_.users.in_doubt(*key, {.commands = {{"SET", std::string(key_of(*key)), value}}});
  world_.users.loosen(*key, "W8: written past stayd");
  world_.users.not_compared.insert(*key);
  Record record;
  record.value = value;
  world_.servers.of(*key).put(*key, std::move(record));
  return true;
}

// --- the network ----------------------------------------------------------------------------

bool Faults::lose_connection() {
  Instance& one = victim();
  one.note("-- a connection is lost");
  return one.network().lose_one(static_cast<unsigned>(random_->below(16)));
}

bool Faults::halve_connection() {
  Instance& one = victim();
  one.note("-- a connection is half open");
  return one.network().halve_one(static_cast<unsigned>(random_->below(16)));
}

// Another path through the network: what is on it arrives behind what a later connection sends.
bool Faults::delay_connection() {
  Instance& one = victim();
  one.note("-- a connection is late");
  const std::int64_t lag_us = between(100 * kMs, 6 * kSecond);
  return one.network().delay_one(static_cast<unsigned>(random_->below(16)), lag_us);
}

bool Faults::silence() {
  Instance& one = victim();
  Network& network = one.network();
  const auto which = random_->below(3);
  one.note(which == 0   ? "-- silence"
           : which == 1 ? "-- silence towards Redis"
                        : "-- silence from Redis");
  network.speak();  // what an earlier silence holds back must not be overtaken
  network.silent_to_server = which != 2;
  network.silent_to_client = which != 1;
  later(between(20 * kMs, 6 * kSecond), [&one] {
    one.note("-- silence ends");
    one.network().speak();
  });
  return true;
}

bool Faults::slow_network() {
  Instance& one = victim();
  one.note("-- the network is slow");
  const std::int64_t lasts_us = between(100 * kMs, 5 * kSecond);
  one.allow_slowness(lasts_us);
  Network& network = one.network();
  network.min_delay_us = between(kMs, 20 * kMs);
  network.max_delay_us = network.min_delay_us + between(kMs, 60 * kMs);
  later(lasts_us, [&network] { network.be_fast(); });
  return true;
}

}  // namespace stayd::sim
