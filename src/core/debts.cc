#include "core/debts.h"

#include <algorithm>

namespace stayd {

Hlc Debts::version(std::string_view key) const {
  const auto it = by_key_.find(key);
  return it == by_key_.end() ? 0 : it->second.until;
}

bool Debts::is_own(std::string_view key) const {
  const auto it = by_key_.find(key);
  return it != by_key_.end() && it->second.own;
}

void Debts::add(const FullKey& key, Hlc hlc) {
  add(key, Debt{hlc, true, hlc});
}

void Debts::add_foreign(const FullKey& key, Hlc hlc) {
  add(key, Debt{hlc, false, hlc});
}

void Debts::add_agreed(const FullKey& key, Hlc hlc, Hlc now) {
  const auto it = by_key_.find(key);
  if (it != by_key_.end() && it->second.own) it->second.hlc = std::min(it->second.hlc, hlc);
  if (it != by_key_.end()) hlc = it->second.hlc;
  add(key, Debt{hlc, true, now});
}

void Debts::add(const FullKey& key, Debt debt) {
  const auto it = by_key_.find(key);
  if (it != by_key_.end()) {
    it->second.hlc = std::max(it->second.hlc, debt.hlc);
    it->second.own = it->second.own || debt.own;
    it->second.until = std::max(it->second.until, debt.until);
    return;
  }
  floor_ = by_key_.empty() ? debt.hlc : std::min(floor_, debt.hlc);
  if (by_key_.size() >= kMaxDebts) {
    complete_ = false;
    ++overflows_;
    return;
  }
  by_key_.emplace(key, debt);
  queue_.push_back(key);
}

bool Debts::settle(std::string_view key, Hlc hlc) {
  const auto it = by_key_.find(key);
  if (it == by_key_.end()) return true;
  if (it->second.until > hlc) return false;
  by_key_.erase(it);
  return true;
}

Hlc Debts::lowest() const {
  if (by_key_.size() > kLowestScan) return floor_;
  Hlc lowest = by_key_.empty() ? 0 : ~Hlc{0};
  for (const auto& [key, debt] : by_key_) {
    if (debt.own) lowest = std::min(lowest, debt.hlc);
  }
  return lowest;
}

void Debts::forget_database(int db) {
  boost::unordered::erase_if(
      by_key_, [db](const auto& entry) { return db < 0 || db_of(entry.first) == db; });
}

void Debts::clear() {
  by_key_.clear();
  queue_.clear();
  complete_ = true;
}

void Debts::take(std::size_t limit, std::vector<FullKey>& out) {
  while (limit > 0 && !queue_.empty()) {
    FullKey key = std::move(queue_.front());
    queue_.pop_front();
    if (!by_key_.contains(key)) continue;  // settled otherwise
    out.push_back(std::move(key));
    --limit;
  }
}

void Debts::retry(const FullKey& key) {
  if (by_key_.contains(key)) queue_.push_back(key);
}

}  // namespace stayd
