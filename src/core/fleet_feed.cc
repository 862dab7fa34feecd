#include "core/fleet_feed.h"

#include <algorithm>
#include <utility>

namespace stayd {

namespace {
constexpr const char* kCursor = "feed_cursor";
constexpr std::size_t kSeen = 64;  // entries of a host that are remembered
}  // namespace

void FleetFeed::start() {
  ledger_top_ = c_.ledger.highest_hlc();
  cursor_ = c_.ledger.fact(kCursor);
}

void FleetFeed::restart() {
  ++generation_;
  cursor_.clear();
  read_at_us_ = 0;
  under_way_ = more_ = looking_ = false;
  missed_.clear();
  wanted_ = true;
}

void FleetFeed::on_tick() {
  if (under_way_ || !c_.status.up) return;
  if (!wanted_ && look_for_missed()) return;
  if (wanted_ || more_ || c_.now.mono_us - asked_us_ >= c_.options.poll_ms * 1000) poll();
}

void FleetFeed::poll() {
  if (!more_) begun_us_ = c_.now.mono_us;
  asked_us_ = c_.now.mono_us;
  wanted_ = false;
  under_way_ = true;
  c_.backup.feed(cursor_, c_.options.page, c_.backup_ops.token(*this, generation_),
                 c_.in(c_.options.ship_deadline_ms));
}

void FleetFeed::on_feed(std::uint64_t tag, const Error& error, FeedPage page) {
  if (tag != generation_) return;
  if (!error.message.empty()) {
    under_way_ = more_ = false;
    return;
  }
  if (page.hosts) {
    for (const BackupHost& host : page.hosts->hosts) c_.clock.witness(host.hlc);
    if (has_lost_its_end(*page.hosts)) return restart();
    take_hosts(*page.hosts);
  }
  next_ = std::move(page.next);
  more_ = page.more;
  take(std::move(page.rows));
}

// More of this host has been shipped than the ledger has (B13): the backup has it.
bool FleetFeed::has_lost_its_end(const BackupHosts& read) {
  if (std::exchange(knows_its_end_, true)) return false;
  const auto own = std::ranges::find(read.hosts, host_of(c_.options.origin), &BackupHost::instance);
  return own != read.hosts.end() && own->shipped_to > ledger_top_;
}

void FleetFeed::take_hosts(const BackupHosts& read) {
  std::vector<FleetHostSeen> hosts;
  for (const BackupHost& entry : read.hosts) {
    const auto known = std::ranges::find_if(
        hosts_, [&](const FleetHostSeen& one) { return one.entry.instance == entry.instance; });
    FleetHostSeen host = known == hosts_.end() ? FleetHostSeen() : std::move(*known);
    host.entry = entry;
    host.told_ago_ms = read.clock_ms - entry.seen_ms;
    host.read_us = asked_us_;
    if (host.seen.empty() || host.seen.back().second != entry.hlc) {
      host.seen.emplace_back(asked_us_, entry.hlc);
    }
    if (host.seen.size() > kSeen) host.seen.erase(host.seen.begin());
    hosts.push_back(std::move(host));
  }
  hosts_ = std::move(hosts);
  hosts_read_us_ = asked_us_;
}

void FleetFeed::take(std::vector<BackupRow> rows) {
  failed_ = false;
  to_apply_ = 1;
  page_.clear();
  for (BackupRow& row : rows) {
    if (row.state == RowState::absent || !row.unreadable.empty()) continue;
    c_.clock.witness(row.hlc);
    sample_.saw(row);
    ++to_apply_;
    const std::uint64_t row_tag = generation_ << 20 | page_.size();
    page_.push_back({row.key, meta_of(row)});
    c_.ledger.apply_one(merge_of(std::move(row), false), c_.ledger_ops.token(*this, row_tag),
                        Durability::written);
  }
  page_done();
}

void FleetFeed::on_applied(std::uint64_t tag, const Error& error, const ApplyResult& result) {
  if (tag >> 20 != generation_) return;
  const Foreign& foreign = page_[tag & 0xfffff];
  if (!error.message.empty()) {
    failed_ = true;
    if (looking_) missed_[foreign.key] = true;
  } else if (result.outcome == ApplyOutcome::applied) {
    ++rows_taken_;
    looked_us_ = 0;
    c_.judge->on_foreign(foreign.key, foreign.meta);
  } else if (result.before.unshipped != Unshipped::nothing && !result.before.stale &&
             foreign.meta.version() != result.before.base) {
    miss(foreign.key);
    if (tag >> 20 != generation_) return;  // too many
  }
  page_done();
}

// The place in the feed moves on when the ledger has everything before it.
void FleetFeed::page_done() {
  if (--to_apply_ != 0) return;
  under_way_ = false;
  if (std::exchange(looking_, false)) return save();
  if (failed_) {
    more_ = false;
    return;
  }
  if (cursor_ != next_) {
    cursor_ = next_;
    saved_ = false;
    save();
  }
  if (!more_) read_at_us_ = begun_us_;
}

void FleetFeed::save() {
  if (saved_ || !missed_.empty()) return;
  saved_ = true;
  c_.ledger.put_fact(kCursor, cursor_);
}

// --- what came while something of ours was unshipped

void FleetFeed::miss(const FullKey& key) {
  if (missed_.size() >= c_.options.max_missed && !missed_.contains(key)) {
    const FeedCursor saved = c_.ledger.fact(kCursor);
    restart();
    cursor_ = saved;  // from there once more, at the next poll
    wanted_ = false;
    return;
  }
  missed_[key] = false;
  shipper_.look_again(key);
}

void FleetFeed::look(const FullKey& key) {
  const auto at = missed_.find(key);
  if (at != missed_.end()) at->second = true;
}

// False: there is nothing, or it is too soon after a look of which nothing came.
bool FleetFeed::look_for_missed() {
  if (missed_.empty() || c_.now.mono_us < looked_us_) return false;
  page_.clear();
  std::vector<FullKey> keys;
  for (const auto& [key, ready] : missed_) {
    if (ready && keys.size() < c_.options.batch) keys.push_back(key);
  }
  if (keys.empty()) return false;
  under_way_ = looking_ = true;
  c_.backup.read(std::move(keys), c_.backup_ops.token(*this, generation_),
                 c_.in(c_.options.ship_deadline_ms));
  return true;
}

void FleetFeed::on_read(std::uint64_t tag, const Error& error, std::vector<BackupRow> rows) {
  if (tag != generation_) return;
  wanted_ = true;  // the feed is not kept waiting by more of this
  looked_us_ = c_.in(c_.options.poll_ms);
  if (!error.message.empty()) {
    under_way_ = looking_ = false;
    return;
  }
  for (const BackupRow& row : rows) missed_.erase(row.key);
  take(std::move(rows));
}

}  // namespace stayd
