#include "core/tomb_keeper.h"

#include <vector>

namespace stayd {

namespace {
constexpr std::int64_t kRetryUs = 1'000'000;
constexpr std::size_t kPerRound = 1024;
}  // namespace

void TombKeeper::add(const FullKey& key, Hlc hlc) {
  if (c_.unwritten_tombs.size() < kMaxUnwritten) c_.unwritten_tombs[key] = hlc;
}

void TombKeeper::on_tick() {
  if (c_.unwritten_tombs.empty() || !under_way_.empty() || c_.now.mono_us < next_try_us_) return;
  next_try_us_ = c_.now.mono_us + kRetryUs;
  std::vector<std::pair<FullKey, Hlc>> tombs;
  for (const auto& tomb : c_.unwritten_tombs) {
    tombs.emplace_back(tomb);
    if (tombs.size() >= kPerRound) break;
  }
  for (const auto& [key, hlc] : tombs) write(key, hlc, Durability::synced);
}

void TombKeeper::write(const FullKey& key, Hlc hlc, Durability durability) {
  under_way_.emplace(++last_tag_, std::pair(key, hlc));
  Mutation tomb;
  tomb.kind = Mutation::Kind::tomb;
  tomb.key = key;
  tomb.hlc = hlc;  // its own version: a later create stays
  tomb.mark = c_.mark;
  tomb.tomb_until_ms = c_.now.wall_ms + kTombstoneMinMs + c_.options.max_island_ms;
  c_.store.apply_one(std::move(tomb), c_.ops.token(*this, last_tag_), durability);
}

void TombKeeper::on_applied(std::uint64_t tag, const Error& error, const ApplyResult&) {
  const auto written = under_way_.extract(tag);
  if (!error.message.empty()) return;
  const auto it = c_.unwritten_tombs.find(written.mapped().first);
  if (it != c_.unwritten_tombs.end() && it->second == written.mapped().second) {
    c_.unwritten_tombs.erase(it);
  }
}

}  // namespace stayd
