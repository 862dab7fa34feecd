#include "core/ledger_end.h"

#include <algorithm>
#include <sstream>
#include <utility>

namespace stayd {

namespace {
constexpr std::string_view kFact = "lost_ends";  // "TOP TOP"
}

LedgerEnd::LedgerEnd(Store& store) : store_(store) {
  std::istringstream in(store.fact(kFact));
  for (Hlc top = 0; in >> top;) lost_.insert(top);
}

void LedgerEnd::expect(std::string id, std::string name) {
  if (expected_.size() < kMaxHeartbeats) expected_.push_back({std::move(id), std::move(name)});
}

void LedgerEnd::forget(std::string_view name) {
  std::erase_if(expected_, [name](const Heartbeat& one) { return one.name == name; });
}

void LedgerEnd::note(const std::string& id, const Canary& canary) {
  auto& last_ms = last_ms_[id];
  last_ms = std::max(last_ms, canary.wall_ms);
}

void LedgerEnd::note_left(const Heartbeat& left, const Canary& canary) {
  const auto is_it = [&](const Heartbeat& one) { return one.name == left.name; };
  if (std::ranges::none_of(expected_, is_it)) return;  // this life has begun to write it
  note(left.id, canary);
  const auto top = tops_.find(left.id);
  if (top != tops_.end() && canary.ledger() > top->second) lose(top->second);
}

bool LedgerEnd::outlived(const std::string& id, Hlc top) const {
  const auto last = last_ms_.find(id);
  return last != last_ms_.end() && last->second > hlc_wall_ms(top);
}

bool LedgerEnd::is_lost(const LedgerDoubt& doubt) const {
  return lost_.contains(doubt.top) && outlived(doubt.id, doubt.top);
}

void LedgerEnd::lose(Hlc top) {
  if (top == 0 || !lost_.insert(top).second) return;
  std::string text;
  for (const Hlc one : lost_) text.append(text.empty() ? "" : " ").append(std::to_string(one));
  store_.put_fact(std::string(kFact), std::move(text));
}

void LedgerEnd::close() {
  expected_.clear();
  if (!std::exchange(lost_, {}).empty()) store_.put_fact(std::string(kFact), "");
}

}  // namespace stayd
