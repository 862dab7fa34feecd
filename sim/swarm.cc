#include "sim/swarm.h"

#include <cstdio>

#include "sim/faults.h"
#include "sim/world.h"

namespace stayd::sim {

namespace {

constexpr unsigned kFaultChance = 35;  // percent of the seeds that know a kind of fault
constexpr unsigned kHabitChance = 60;  // ... and a kind of user
constexpr unsigned kAloneChance = 75;  // ... and have one stayd only

std::int64_t between(Random& random, std::int64_t low, std::int64_t high) {
  // More small ones than large ones: the square of a uniform number.
  const double part = static_cast<double>(random.below(1'000'000)) / 1e6;
  return low + static_cast<std::int64_t>(part * part * static_cast<double>(high - low));
}

void draw_faults(WorldOptions& options) {
  for (const FaultKind& kind : fault_kinds()) {
    if (kind.only && *kind.only != options.found_by) continue;
    if (kind.of_fleet && !options.fleet) continue;
    Random random = stream(options.seed, std::string("draw ") + kind.name);
    const bool enabled = random.chance(kFaultChance);
    const std::int64_t mean_us = kind.mean_us / 2 + between(random, 0, 4 * kind.mean_us);
    if (!options.only_faults) {
      if (enabled) options.fault_means_us[kind.name] = mean_us;
    } else if (options.only_faults->contains(kind.name)) {
      options.fault_means_us[kind.name] = mean_us;
    }
  }
}

void draw_users(UsersOptions& users, std::uint64_t seed, bool clocks_jump) {
  Random random = stream(seed, "draw users");
  const auto sessions = static_cast<int>(between(random, 4, 60));
  const auto clients = 1 + static_cast<int>(random.below(4));
  const auto think_us = between(random, 40 * kMs, 400 * kMs);
  if (!users.sessions) users.sessions = sessions;
  if (!users.max_clients) users.max_clients = clients;
  if (!users.think_us) users.think_us = think_us;
  for (int& weight : users.weights) {
    weight = random.chance(kHabitChance) ? 1 + static_cast<int>(random.below(9)) : 0;
  }
  // Somebody has to be there.
  users.weights[random.below(users.weights.size())] += 5;
  if (!clocks_jump) return;
  // What has just expired comes back when a clock goes back: nothing to check there.
  users.weights[static_cast<std::size_t>(Habit::brief)] = 0;
  users.weights[static_cast<std::size_t>(Habit::express)] += 1;
}

// Which of them the operator has named.
void draw_sentinels(WorldOptions& options) {
  Random random = stream(options.seed, "draw sentinels");
  const std::size_t first = random.below(Sentinels::kCount);
  const std::size_t count = random.chance(70) ? Sentinels::kCount : 1 + random.below(2);
  for (std::size_t i = 0; i < count; ++i) {
    options.instance.sentinels.push_back(Sentinels::endpoint((first + i) % Sentinels::kCount));
  }
}

}  // namespace

Random stream(std::uint64_t seed, std::string_view purpose) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : purpose) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return Random(seed * 0x9e3779b97f4a7c15ULL ^ hash);
}

WorldOptions draw(WorldOptions options) {
  if (options.faults) draw_faults(options);
  if (options.fault_means_us.contains("region")) options.instance.engine.region = kFirstRegion;
  const bool clocks_jump = options.fault_means_us.contains("clock-jump");
  if (clocks_jump) {
    options.users.expiry_slack_ms += 4 * kMaxSkewMs;  // two hosts, each before and after a jump
  }
  draw_users(options.users, options.seed, clocks_jump);
  Random backfill = stream(options.seed, "draw backfill");
  if (options.faults && backfill.chance(20)) {
    options.backfill_held_us = between(backfill, kSecond, 30 * kSecond);
  }
  if (options.instance.engine.replica_reads) {
    options.instance.engine.replicas = {std::string(Servers::kReplica) + ":6379"};
    options.backfill_held_us = static_cast<std::int64_t>(options.minutes * 60) * kSecond;
  }
  Random clocks = stream(options.seed, "draw clocks");
  if (options.faults && !clocks_jump && clocks.chance(20)) {
    options.redis_ahead_ms = static_cast<std::int64_t>(clocks.below(2 * kMaxSkewMs)) - kMaxSkewMs;
  }
  Random several = stream(options.seed, "draw instances");
  const bool alone = several.chance(kAloneChance);
  const int many = 2 + static_cast<int>(several.below(4));
  const int roaming = several.chance(50) ? static_cast<int>(several.below(60)) : 0;
  const bool cluster = options.found_by == FoundBy::cluster;
  if (options.found_by == FoundBy::sentinels && options.instance.sentinels.empty()) {
    draw_sentinels(options);
  }
  if (!options.instances) options.instances = alone || cluster ? 1 : many;
  options.users.one_database = cluster || options.fleet;
  options.users.fleet = options.fleet;
  if (options.fleet)
    options.users.bound_us = kSecond;  // the backup's deadlines, one after the other
  if (!options.users.roaming_percent) options.users.roaming_percent = roaming;
  if (options.instance.policies.empty()) options.instance.policies = policies_of_users();
  return options;
}

std::string describe(const WorldOptions& options) {
  std::string out;
  if (options.shards > 1) out += std::to_string(options.shards) + " shards; ";
  if (options.found_by == FoundBy::sentinels) out += "Sentinels; ";
  if (options.found_by == FoundBy::name) out += "a name that moves; ";
  if (*options.instances > 1) {
    out += std::to_string(*options.instances) +
           (options.fleet ? " stayds of a fleet, " : " stayds, ") +
           std::to_string(*options.users.roaming_percent) + "% of the sessions roam; ";
  }
  out += std::to_string(*options.users.sessions) + " sessions, up to " +
         std::to_string(*options.users.max_clients) + " clients each, a command each " +
         std::to_string(*options.users.think_us / kMs) + " ms; faults:";
  for (const auto& [name, mean_us] : options.fault_means_us) {
    out += " " + name + " each " + std::to_string(mean_us / kSecond) + " s,";
  }
  if (options.fault_means_us.empty()) out += " none ";
  out.back() = '\n';
  return out;
}

std::string command_line(const WorldOptions& options) {
  char minutes[32];
  std::snprintf(minutes, sizeof minutes, "%g", options.minutes);
  std::string out = "./dev sim --seed " + std::to_string(options.seed) + " --minutes " + minutes;
  if (options.instances) out += " --instances " + std::to_string(*options.instances);
  if (options.shards > 1) out += " --shards " + std::to_string(options.shards);
  if (options.fleet) out += " --fleet";
  if (options.found_by == FoundBy::sentinels) out += " --sentinels";
  if (options.found_by == FoundBy::name) out += " --name";
  if (options.instance.engine.replica_reads) out += " --replica";
  if (options.only_faults) {
    std::string names;
    for (const std::string& name : *options.only_faults) names += (names.empty() ? "" : ",") + name;
    out += " --faults " + (names.empty() ? "none" : names);
  }
  if (options.users.sessions) out += " --sessions " + std::to_string(*options.users.sessions);
  if (options.users.max_clients) out += " --clients " + std::to_string(*options.users.max_clients);
  return out;
}

}  // namespace stayd::sim
