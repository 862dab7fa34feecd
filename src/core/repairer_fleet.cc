// Repairer of a fleet (B8): others write to this Redis, and what they have written may not be in
// the backup yet.
//
//   lease, digest ─▶ nothing is held ──────────────────────────────────▶ row read exactly, written
//                 ─▶ something ─▶ row read exactly, then what is held ─▶ the same: paid
//                       differs ─▶ given a second: others may have written it just now
//                       differs still ─▶ parked until all have shipped ─▶ row read exactly, written
#include <algorithm>
#include <utility>

#include "core/fleet_view.h"
#include "core/lua.h"
#include "core/repairer.h"
#include "core/side_keys.h"
#include "resp/request_parser.h"

namespace stayd {

namespace {

constexpr std::int64_t kParkedUs = 8'000'000;
constexpr std::int64_t kDiffersUs = 1'000'000;
// Redis' expiry may be so much later or earlier than the row's: clocks, and the way there.
constexpr std::int64_t kLaterMs = 400;
constexpr std::int64_t kEarlierMs = 200;

// `touched`: others may have put its expiry off, and will tell within a minute.
bool holds(const Record& held, const Row& row, bool touched, std::int64_t wall_ms) {
  if (!row.meta.live_at(wall_ms)) return !held.exists();
  if (held.value != row.record.value) return false;
  const std::int64_t there_ms = held.expires_at_ms;
  const std::int64_t here_ms = row.meta.expires_at_ms;
  if (there_ms == 0 || here_ms == 0) return there_ms == here_ms || (touched && there_ms == 0);
  const std::int64_t later_ms = there_ms - here_ms;
  return later_ms >= -kEarlierMs && (touched || later_ms <= kLaterMs);
}

}  // namespace

void Repairer::compare(std::size_t index) {
  items_[index].comparing = true;
  load_row(index);
}

void Repairer::ask_what_is_held(std::size_t index, Row row) {
  Item& item = items_[index];
  item.hlc = std::max(row.meta.hlc, item.owed);
  const bool known = !row.alone || c_.fleet->is_own(row.meta);
  if (!known || row.meta.stale) return park(index);
  if (c_.tomb_over(item.key, row.meta.hlc) != 0) row = Row{};  // a logout, in memory only
  item.row = std::move(row);
  request_.clear();
  append_read_back(request_, key_of(item.key));
  c_.upstream->send(request_, db_of(item.key), *this, tag(index),
                    c_.deadline_us(kRepairDeadlineMs));
}

void Repairer::on_compared(std::size_t index, std::string_view frame) {
  Item& item = items_[index];
  const auto held = parse_read_back(ReplyView(frame), c_.redis_offset_ms);
  if (!held) return finish(index, RepairOutcome::refused);
  const Row row = std::exchange(item.row, {});
  const bool touched = c_.fleet->has_company() && !c_.debts.is_own(item.key);
  if (holds(*held, row, touched, c_.now.wall_ms)) {
    differs_since_us_.erase(item.key);
    release(item);
    return finish(index, RepairOutcome::confirmed);
  }
  const auto since_us = differs_since_us_.try_emplace(item.key, c_.now.mono_us).first->second;
  if (c_.now.mono_us - since_us > kDiffersUs) return park(index);
  release(item);
  finish(index, RepairOutcome::leased);
}

void Repairer::park(std::size_t index) {
  differs_since_us_.erase(items_[index].key);
  items_[index].comparing = false;
  parked_.push_back(index);
}

void Repairer::release(const Item& item) {
  request_.clear();
  append_request(request_, {"UNLINK", lease_key(c_.place, key_of(item.key))});
  c_.upstream->send(request_, db_of(item.key), swallow_, 0, c_.deadline_us(kRepairDeadlineMs));
}

void Repairer::on_tick() {
  if (parked_.empty()) return;
  const bool late = c_.now.mono_us - leased_us_ > kParkedUs || !c_.up();
  if (!late && !c_.fleet->all_shipped_since(leased_us_)) return;
  for (const std::size_t index : std::exchange(parked_, {})) {
    late ? finish(index, RepairOutcome::lost) : load_row(index);
  }
}

// Of a fleet: onto what was there when the lease was taken, or not at all.
bool Repairer::write_exactly(std::size_t index, const Row& row) {
  Item& item = items_[index];
  if (c_.fleet == nullptr) return false;
  if (!item.leased) {
    finish(index, item.refused ? RepairOutcome::refused : RepairOutcome::leased);
    return true;
  }
  // Its maker knows what has become of it, and nobody can ask.
  if (row.alone && c_.fleet->is_left_to_maker(row.meta, db_of(item.key))) {
    release(item);
    finish(index, RepairOutcome::leased);
    return true;
  }
  const bool known = !row.alone || c_.fleet->is_own(row.meta);
  if (item.held && !known) {  // the others know what it is, and nobody can ask them
    finish(index, RepairOutcome::lost);
    return true;
  }
  const bool live = row.meta.live_at(c_.now.wall_ms) && c_.tomb_over(item.key, row.meta.hlc) == 0;
  bytes_ += row.record.memory_bytes();
  append_repair(request_, key_of(item.key), lease_key(c_.place, key_of(item.key)), item.token,
                live ? row.record : Record{}, live ? c_.redis_time(row.meta.expires_at_ms) : 0,
                false, true);
  c_.upstream->send(request_, db_of(item.key), *this, tag(index),
                    c_.deadline_us(kRepairDeadlineMs));
  return true;
}

}  // namespace stayd
