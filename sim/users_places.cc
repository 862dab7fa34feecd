// Users: to which of several stayds a session's commands go.
#include <algorithm>

#include "sim/users.h"

namespace stayd::sim {

namespace {

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

Instance& Users::choose_instance(const FullKey& key) {
  const bool anywhere = options_.fleet && !key_of(key).starts_with("fenced:");
  if (!roams(key) && !anywhere) return home(key);
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

void Users::loosen_roaming(std::string_view why) {
  for (auto& [key, history] : histories_) {
    if (!history.loose() && roams(key)) loosen(key, why);
  }
}

}  // namespace stayd::sim
