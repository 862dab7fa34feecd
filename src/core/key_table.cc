#include "core/key_table.h"

#include <algorithm>

#include "base/error.h"

namespace stayd {

namespace {
constexpr std::size_t kSpareEntries = 1024;  // beyond this, freed entries go back to the allocator
}

KeyTable::Entry& KeyTable::entry(const FullKey& key) {
  auto [it, fresh] = entries_.try_emplace(key);
  if (fresh) {
    if (spare_.empty()) {
      it->second = std::make_unique<Entry>();
    } else {
      it->second = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  return *it->second;
}

void KeyTable::drop_if_idle(std::string_view key) {
  const auto it = entries_.find(key);
  if (it == entries_.end() || !it->second->idle()) return;
  if (spare_.size() < kSpareEntries) spare_.push_back(std::move(it->second));
  entries_.erase(it);
}

bool KeyTable::locked(std::string_view key) const {
  const auto it = entries_.find(key);
  return it != entries_.end() && it->second->lock_holder != nullptr;
}

std::uint32_t KeyTable::in_flight(std::string_view key) const {
  const auto it = entries_.find(key);
  return it == entries_.end() ? 0 : it->second->in_flight;
}

bool KeyTable::may_start(const Call& call, bool alone) const {
  if (entries_.empty()) return true;
  for (const FullKey& key : call.keys) {
    const auto it = entries_.find(key);
    if (it == entries_.end()) continue;
    const Entry& e = *it->second;
    if (e.lock_holder != nullptr && e.lock_holder != &call) return false;
    if (!e.queue.empty() && e.queue.front() != &call) return false;
    if (alone && e.in_flight != 0) return false;
  }
  return true;
}

void KeyTable::lock(Call& call) {
  STAYD_ASSERT(!call.locks_held);
  for (const FullKey& key : call.keys) {
    Entry& e = entry(key);
    STAYD_ASSERT(e.lock_holder == nullptr || e.lock_holder == &call);
    e.lock_holder = &call;
  }
  call.locks_held = true;
}

void KeyTable::unlock(Call& call) {
  if (!call.locks_held) return;
  call.locks_held = false;
  for (const FullKey& key : call.keys) {
    const auto it = entries_.find(key);
    if (it == entries_.end()) continue;  // the same key named twice
    it->second->lock_holder = nullptr;
    drop_if_idle(key);
  }
}

void KeyTable::add_in_flight(Call& call) {
  if (call.in_flight) return;
  call.in_flight = true;
  for (const FullKey& key : call.keys) ++entry(key).in_flight;
}

void KeyTable::remove_in_flight(Call& call) {
  if (!call.in_flight) return;
  call.in_flight = false;
  for (const FullKey& key : call.keys) {
    const auto it = entries_.find(key);
    STAYD_ASSERT(it != entries_.end() && it->second->in_flight > 0);
    --it->second->in_flight;
    drop_if_idle(key);
  }
}

void KeyTable::enqueue(Call& call) {
  if (call.queued) return;
  call.queued = true;
  for (const FullKey& key : call.keys) {
    auto& queue = entry(key).queue;
    if (queue.empty() || queue.back() != &call) queue.push_back(&call);
  }
}

void KeyTable::enqueue_front(Call& call) {
  if (call.queued) return;
  call.queued = true;
  for (const FullKey& key : call.keys) {
    auto& queue = entry(key).queue;
    if (queue.empty() || queue.front() != &call) queue.push_front(&call);
  }
}

void KeyTable::dequeue(Call& call) {
  if (!call.queued) return;
  call.queued = false;
  for (const FullKey& key : call.keys) {
    const auto it = entries_.find(key);
    if (it == entries_.end()) continue;
    auto& queue = it->second->queue;
    const auto at = std::find(queue.begin(), queue.end(), &call);
    if (at != queue.end()) queue.erase(at);
    drop_if_idle(key);
  }
}

void KeyTable::fronts(const std::vector<FullKey>& keys, std::vector<Call*>& out) const {
  for (const FullKey& key : keys) {
    const auto it = entries_.find(key);
    if (it != entries_.end() && !it->second->queue.empty())
      out.push_back(it->second->queue.front());
  }
}

void KeyTable::all_fronts(std::vector<Call*>& out) const {
  for (const auto& [key, e] : entries_) {
    if (!e->queue.empty()) out.push_back(e->queue.front());
  }
  std::sort(out.begin(), out.end(),
            [](const Call* a, const Call* b) { return a->submitted_order < b->submitted_order; });
}

}  // namespace stayd
