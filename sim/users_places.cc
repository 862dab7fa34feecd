// Users: to which of several stayds a session's commands go.
#include <algorithm>

#include "sim/users.h"

namespace stayd::sim {

namespace {

constexpr std::int64_t kLagMs = 1000;              // the feed, and what it takes to be told
constexpr std::int64_t kTogetherUs = 3 * kSecond;  // until what was done apart is everywhere

std::uint64_t number_of(const FullKey& key) {
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  for (const char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash ^ (hash >> 29);
}

}  // namespace

Instance& Users::home(const FullKey& key) const {
  return *instances_[instances_.size() == 1 ? 0 : number_of(key) % instances_.size()];
}

bool Users::roams(const FullKey& key) const {
  const auto percent = static_cast<std::uint64_t>(options_.roaming_percent.value_or(0));
  if (instances_.size() == 1 || percent == 0 || options_.fleet) return false;
  return number_of(key) / 1000 % 100 < percent && !key_of(key).starts_with("fenced:");
}

// Every second session's commands go to any stayd of a fleet, the others' stay at one.
bool Users::roams_in_fleet(const FullKey& key) const {
  return options_.fleet && instances_.size() > 1 && number_of(key) / 1000 % 2 == 0 &&
         !key_of(key).starts_with("fenced:");
}

Instance& Users::choose_instance(const FullKey& key) {
  if (!roams(key) && !roams_in_fleet(key)) return home(key);
  Instance& one = *instances_[random_.below(instances_.size())];
  return one.alive() ? one : home(key);
}

// Every stayd believes the same Redis, owes it nothing and knows of the others.
bool Users::calm() const {
  if (redis_is_split()) return false;
  return std::ranges::all_of(instances_, [](const auto& one) {
    if (!one->alive()) return false;
    const ShardStatus shard = one->status().shard;
    return shard.trust == Trust::trusted && shard.writes_closed && shard.debts == 0 &&
           shard.shared_unsafe;
  });
}

void Users::note_roaming(const FullKey& key) {
  if (!roams(key) || history(key).loose() || calm()) return;
  loosen(key, "W16: roams while a stayd does not trust Redis");
}

// While the stayds of a fleet do not all trust Redis, they hear of each other by the backup alone.
void Users::note_apart(const FullKey& key) {
  if (!options_.fleet || instances_.size() == 1) return;
  const bool together = !redis_is_split() && std::ranges::all_of(instances_, [](const auto& one) {
    if (!one->alive()) return false;
    const ShardStatus shard = one->status().shard;
    return shard.trust == Trust::trusted && shard.writes_closed && shard.debts == 0;
  });
  if (!together) apart_us_ = scheduler_.now_us();
  if (!together && !apart_) {  // and what was done just now the others may not know
    const std::int64_t since_ms = scheduler_.wall_ms() - kLagMs;
    for (auto& [known, history] : histories_) {
      if (history.last_asked_ms() >= since_ms) follow_with_lag(known);
    }
  }
  apart_ = !together;
  const bool lately = apart_us_ >= 0 && scheduler_.now_us() - apart_us_ < kTogetherUs;
  if (lately || lately_without_backup()) follow_with_lag(key);
}

void Users::begin_without_backup() {
  ++without_backup_;
  const std::int64_t since_ms = scheduler_.wall_ms() - kLagMs;
  for (auto& [known, history] : histories_) {  // what of it has not been shipped, nobody else has
    if (history.last_asked_ms() >= since_ms) follow_with_lag(known);
  }
}

bool Users::lately_without_backup() const {
  return without_backup_ > 0 ||
         (backup_back_us_ != 0 && scheduler_.now_us() - backup_back_us_ < kTogetherUs);
}

void Users::follow_with_lag(const FullKey& key) {
  KeyHistory& one = history(key);
  if (!roams_in_fleet(key) || one.loose()) return;
  if (one.lags() && !lately_without_backup()) return;
  const std::string_view name = key_of(key);
  const bool counted = name.starts_with("lock:") || name.starts_with("count:");
  if (counted || lately_without_backup()) {
    return loosen(key, counted ? "W18: counted while a stayd does not trust Redis"
                               : "W2: without the backup the others are not told");
  }
  one.follow_with_lag(kLagMs, "a stayd does not trust Redis", scheduler_.wall_ms());
}

void Users::loosen_roaming(std::string_view why) {
  for (auto& [key, history] : histories_) {
    if (!history.loose() && roams(key)) loosen(key, why);
  }
}

}  // namespace stayd::sim
