#include "redis/name_cache.h"

#include <algorithm>
#include <utility>

namespace stayd {

NameCache::Name& NameCache::use(const std::string& host, Now now) {
  now_ = now;
  if (names_.size() >= kMaxNames && !names_.contains(host)) {
    std::erase_if(names_, [&](const auto& entry) {
      return now.mono_us - entry.second.used_us > kUnusedUs && !entry.second.asking;
    });
  }
  const auto [it, fresh] = names_.try_emplace(host);
  it->second.used_us = now.mono_us;
  if (fresh) it->second.well_us = now.mono_us;
  return it->second;
}

NameCache::Found NameCache::look(const std::string& host, std::int64_t since_us, Now now) {
  using State = Found::State;
  Name& name = use(host, now);
  const std::int64_t fresh_us = since_us - kAskAgainUs;
  const Found last_good{name.good.empty() ? State::failed : State::found, &name.good, name.error};
  if (name.good_for_us > fresh_us || name.failed_for_us > fresh_us) return last_good;
  if (!name.asking) ask(host, name, now);
  // One that was silent for longer already is not waited for again.
  const bool late = now.mono_us - name.asked_us > kPatienceUs;
  return late && !name.good.empty() ? last_good : Found{};
}

bool NameCache::has_left(const std::string& host, const Address& used, Now now) {
  Name& name = use(host, now);
  const auto seen =
      std::ranges::find_if(name.seen, [&](const Seen& s) { return s.address.same_host(used); });
  const bool known = seen != name.seen.end();
  const unsigned missing = known ? seen->missing : among(name.good, used) ? 0 : name.enough;
  const bool left = missing >= name.enough && !name.good.empty();
  const std::int64_t pause_us = missing > 0 && !left ? kAskAgainUs : kWatchUs;
  if (!name.asking && (name.asked_us == INT64_MIN || now.mono_us - name.asked_us >= pause_us)) {
    ask(host, name, now);
  }
  if (left && known) seen->left = true;
  return left;
}

void NameCache::ask(const std::string& host, Name& name, Now now) {
  name.asking = true;
  name.asked_us = now.mono_us;
  resolver_.ask(host, [this, host](NameAnswer answer) { on_answer(host, std::move(answer)); });
}

void NameCache::on_answer(const std::string& host, NameAnswer answer) {
  Name& name = names_.at(host);  // one that is asked is not forgotten
  name.asking = false;
  if (answer.addresses.empty()) {
    ++counters_.name_failures;
    name.failed_for_us = name.asked_us;
    name.error = std::move(answer.error);
    return;
  }
  name.good = std::move(answer.addresses);
  name.good_for_us = name.asked_us;
  name.well_us = now_.mono_us;
  count(name);
  if (!std::exchange(name.told, false)) return;
  log_.on_event({Severity::info, "name_answered", "the name " + host + " has an answer again", {}});
}

void NameCache::count(Name& name) const {
  for (const Address& address : name.good) {
    const auto is_it = [&](const Seen& s) { return s.address.same_host(address); };
    if (std::ranges::none_of(name.seen, is_it)) name.seen.push_back({address});
  }
  if (now_.mono_us - name.came_back_us > kCalmUs) name.enough = kEnough;
  for (Seen& seen : name.seen) {
    if (!among(name.good, seen.address)) {
      ++seen.missing;
      continue;
    }
    seen.missing = 0;
    if (!std::exchange(seen.left, false)) continue;
    name.enough = std::min(name.enough * 2, kMostEnough);
    name.came_back_us = now_.mono_us;
  }
  std::ranges::sort(name.seen, {}, &Seen::missing);
  if (name.seen.size() > kMaxSeen) name.seen.resize(kMaxSeen);
}

std::string NameCache::text(const std::string& host) const {
  std::string out;
  const auto it = names_.find(host);
  if (it == names_.end()) return out;
  for (const Address& address : it->second.good) {
    out += (out.empty() ? "" : ", ") + address.host_text();
  }
  return out;
}

bool NameCache::holds(const std::string& host, const Address& address) const {
  const auto it = names_.find(host);
  return it != names_.end() && among(it->second.good, address);
}

void NameCache::on_tick(Now now) {
  now_ = now;
  for (auto& [host, name] : names_) {
    const bool used = now.mono_us - name.used_us <= kWatchUs;
    if (!used || name.told || now.mono_us - name.well_us <= kTellAfterUs) continue;
    if (name.good_for_us == name.asked_us) continue;  // nobody has asked since
    name.told = true;
    const std::string why = name.asking ? "the name server is silent" : name.error;
    log_.on_event({Severity::warning,
                   "name_unanswered",
                   "the name " + host + " has no answer (" + why + "): " +
                       (name.good.empty() ? "Redis cannot be found"
                                          : "its last good one is used on, " + text(host)),
                   {}});
  }
}

}  // namespace stayd
