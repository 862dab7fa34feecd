#include "core/fleet_feed.h"

#include <utility>

namespace stayd {

namespace {
constexpr const char* kCursor = "feed_cursor";
}

void FleetFeed::start() {
  cursor_ = c_.ledger.fact(kCursor);
}

void FleetFeed::restart() {
  ++generation_;
  cursor_.clear();
  read_at_us_ = 0;
  under_way_ = more_ = false;
  wanted_ = true;
}

void FleetFeed::on_tick() {
  if (under_way_ || !c_.status.up) return;
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
  next_ = std::move(page.next);
  more_ = page.more;
  failed_ = false;
  to_apply_ = 1;
  page_.clear();
  if (page.hosts) {
    for (const BackupHost& host : page.hosts->hosts) c_.clock.witness(host.hlc);
  }
  for (BackupRow& row : page.rows) {
    if (!row.unreadable.empty()) continue;  // told by whoever asks for it
    c_.clock.witness(row.hlc);
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
  failed_ = failed_ || !error.message.empty();
  const Foreign& foreign = page_[tag & 0xfffff];
  if (result.outcome == ApplyOutcome::applied && error.message.empty()) {
    ++rows_taken_;
    c_.judge->on_foreign(foreign.key, foreign.meta);
  } else if (result.before.unshipped != Unshipped::nothing &&
             foreign.meta.version() != result.before.base) {
    shipper_.look_again(foreign.key);
  }
  page_done();
}

// The place in the feed moves on when the ledger has everything before it.
void FleetFeed::page_done() {
  if (--to_apply_ != 0) return;
  under_way_ = false;
  if (failed_) {
    more_ = false;
    return;
  }
  if (cursor_ != next_) {
    cursor_ = next_;
    c_.ledger.put_fact(kCursor, cursor_);
  }
  if (!more_) read_at_us_ = begun_us_;
}

}  // namespace stayd
