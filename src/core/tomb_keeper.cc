#include "core/tomb_keeper.h"

namespace stayd {

namespace {
constexpr std::int64_t kRetryUs = 1'000'000;
constexpr std::size_t kPerRound = 1024;
}  // namespace

void TombKeeper::add(const FullKey& key, Hlc hlc) {
  if (c_.unwritten_tombs.size() < kMaxUnwritten) c_.unwritten_tombs[key] = hlc;
}

void TombKeeper::on_tick() {
  if (c_.unwritten_tombs.empty() || unreported_ > 0 || c_.now.mono_us < next_try_us_) return;
  next_try_us_ = c_.now.mono_us + kRetryUs;
  under_way_.clear();
  for (const auto& [key, hlc] : c_.unwritten_tombs) {
    under_way_.emplace_back(key, hlc);
    if (under_way_.size() >= kPerRound) break;
  }
  unreported_ = under_way_.size();
  for (std::size_t i = 0; i < under_way_.size(); ++i) {
    Mutation tomb;
    tomb.kind = Mutation::Kind::tomb;
    tomb.key = under_way_[i].first;
    tomb.hlc = under_way_[i].second;  // its own version: a later create stays
    tomb.mark = c_.mark;
    tomb.tomb_until_ms = c_.now.wall_ms + kTombstoneMinMs + c_.options.max_island_ms;
    c_.store.apply_one(std::move(tomb), c_.ops.token(*this, i), Durability::synced);
  }
}

void TombKeeper::on_applied(std::uint64_t tag, const Error& error, const ApplyResult&) {
  --unreported_;
  if (!error.message.empty()) return;
  const auto it = c_.unwritten_tombs.find(under_way_[tag].first);
  if (it != c_.unwritten_tombs.end() && it->second == under_way_[tag].second) {
    c_.unwritten_tombs.erase(it);
  }
}

}  // namespace stayd
