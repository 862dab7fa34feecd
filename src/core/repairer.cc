#include "core/repairer.h"

#include <algorithm>
#include <utility>

#include "core/fleet_view.h"
#include "core/lua.h"
#include "core/side_keys.h"
#include "resp/request_parser.h"

namespace stayd {

namespace {
constexpr std::int64_t kFleetLeaseMs = 10'000;
// The heartbeat stands behind a chunk and must still be answered in time.
constexpr std::size_t kChunkBytes = 4u << 20;
}  // namespace

void Repairer::start(std::vector<FullKey> keys) {
  ++generation_;
  token_ = std::to_string(c_.random.next());
  if (c_.fleet != nullptr) leased_us_ = c_.now.mono_us;
  parked_.clear();
  items_.clear();
  if (c_.fleet != nullptr) {  // a host's own lease is no obstacle to a second of the same key
    std::ranges::sort(keys);
    keys.erase(std::ranges::unique(keys).begin(), keys.end());
  }
  for (FullKey& key : keys) items_.push_back(Item{std::move(key)});
  unfinished_ = waiting_ = items_.size();
  leasing_ = true;
  const auto deadline = c_.deadline_us(kRepairDeadlineMs);
  for (std::size_t i = 0; i < items_.size(); ++i) {
    request_.clear();
    const auto key = key_of(items_[i].key);
    if (c_.fleet != nullptr) {
      append_lease(request_, key, lease_key(c_.place, key), token_, c_.fleet->lease_owner(),
                   kFleetLeaseMs);
    } else {
      append_request(request_, {"SET", lease_key(c_.place, key), token_, "NX", "PX",
                                std::to_string(kLeaseTtlMs)});
    }
    c_.upstream->send(request_, db_of(items_[i].key), *this, tag(i), deadline);
  }
}

void Repairer::on_upstream_reply(std::uint64_t tag, std::string_view frame) {
  if (tag >> 16 != generation_) return;
  const std::size_t index = tag & 0xffff;
  Item& item = items_[index];
  const bool refused = frame[0] == '-';  // whatever it says: the same again would get the same
  if (leasing_) {
    item.leased = frame[0] == '+';
    if (c_.fleet != nullptr && frame[0] == '$') {
      const auto digest = ReplyView(frame).text();
      item.leased = true;
      item.held = !digest.empty();
      item.token = c_.fleet->lease_owner() + token_ + ":" + std::string(digest);
    }
    item.refused = refused;
    if (--waiting_ == 0) load_rows();
    return;
  }
  if (item.done) return;
  if (item.comparing) return on_compared(index, frame);
  if (refused) return finish(index, RepairOutcome::refused);
  if (item.asking) return on_existence(index, frame);
  if (frame[0] != ':') return finish(index, RepairOutcome::lost);
  const bool removal = !item.leased;
  if (removal || frame[1] == '1') {
    return finish(index, item.behind ? RepairOutcome::unknown_row : RepairOutcome::confirmed);
  }
  finish(index, frame[1] == '2' ? RepairOutcome::foreign : RepairOutcome::lost);
}

void Repairer::on_upstream_lost(std::uint64_t tag) {
  if (tag >> 16 != generation_ || items_.empty()) return;
  if (leasing_) {
    // No row has been read yet: nothing of this chunk can take effect any more.
    leasing_ = false;
    for (std::size_t i = 0; i < items_.size(); ++i) finish(i, RepairOutcome::lost);
    return;
  }
  finish(tag & 0xffff,
         c_.rules.lost_repairs_are_repeated ? RepairOutcome::lost : RepairOutcome::confirmed);
}

void Repairer::load_rows() {
  leasing_ = false;
  bytes_ = 0;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (c_.fleet != nullptr && items_[i].leased) {
      items_[i].held ? compare(i) : park(i);
    } else {
      load_row(i);
    }
  }
}

void Repairer::load_row(std::size_t index) {
  items_[index].owed = c_.debts.version(items_[index].key);
  const StoreToken token = c_.ops.token(*this, tag(index));
  if (c_.fleet == nullptr) return c_.store.load(items_[index].key, token);
  c_.store.load_exact(items_[index].key, token);
}

void Repairer::on_loaded(std::uint64_t tag, const Error& error, Row row) {
  if (tag >> 16 != generation_ || items_.empty()) return;
  const std::size_t index = tag & 0xffff;
  if (items_[index].done) return;
  if (!c_.up()) return finish(index, RepairOutcome::lost);
  if (!error.message.empty()) return finish(index, RepairOutcome::refused);
  if (items_[index].comparing) return ask_what_is_held(index, std::move(row));
  write_row(index, row);
}

void Repairer::write_row(std::size_t index, const Row& row) {
  Item& item = items_[index];
  item.hlc = std::max(row.meta.hlc, item.owed);
  const bool buried = c_.tomb_over(item.key, row.meta.hlc) != 0;
  if (row.meta.state == RowState::absent && !buried) return finish(index, RepairOutcome::confirmed);
  const bool behind = (row.meta.stale || c_.unrecorded.behind(item.key, row.meta.hlc)) && !buried &&
                      !c_.other_memory && c_.rules.stale_rows_do_not_repair;
  item.behind = behind && row.meta.live_at(c_.now.wall_ms) && row.record.exists() &&
                row.meta.mark != c_.mark && !c_.unrecorded.removed_since(item.key, row.meta.hlc);
  if (behind && !item.behind) return finish(index, RepairOutcome::unknown_row);
  const auto deadline = c_.deadline_us(kRepairDeadlineMs);
  const auto key = key_of(item.key);
  request_.clear();
  if (write_exactly(index, row)) return;
  if (buried || !row.meta.live_at(c_.now.wall_ms)) {
    item.leased = false;
    append_request(request_, {"UNLINK", key, lease_key(c_.place, key)});
  } else if (!item.leased) {
    return finish(index, item.refused ? RepairOutcome::refused : RepairOutcome::leased);
  } else if (bytes_ > kChunkBytes) {
    return finish(index, RepairOutcome::lost);  // in a later chunk
  } else {
    item.provisional = row.meta.provisional;
    if (item.provisional && !c_.placed.contains(item.key)) return ask_for_another(index);
    if (item.behind && !item.vacant) return ask_for_another(index);
    bytes_ += row.record.memory_bytes();
    const auto expires_at_ms = c_.rules.repairs_keep_expiry ? row.meta.expires_at_ms : 0;
    const bool only_if_absent = c_.shared && row.meta.adopted;
    append_repair(request_, key, lease_key(c_.place, key), token_, row.record,
                  c_.redis_time(expires_at_ms), only_if_absent);
  }
  c_.upstream->send(request_, db_of(item.key), *this, tag(index), deadline);
}

// A provisional row, or one that is behind, gives way to what Redis holds of its own. Asked before
// anything is written: a value of ours, whose confirmation was lost, would look the same
// afterwards.
void Repairer::ask_for_another(std::size_t index) {
  Item& item = items_[index];
  item.asking = true;
  append_request(request_, {"EXISTS", key_of(item.key)});
  c_.upstream->send(request_, db_of(item.key), *this, tag(index),
                    c_.deadline_us(kRepairDeadlineMs));
}

void Repairer::on_existence(std::size_t index, std::string_view frame) {
  Item& item = items_[index];
  item.asking = false;
  if (frame[0] != ':') return finish(index, RepairOutcome::lost);
  if (frame[1] != '0') return finish(index, RepairOutcome::foreign);
  item.vacant = true;
  if (item.provisional) return place(index);
  c_.store.load(item.key, c_.ops.token(*this, tag(index)));
}

// Redis has nothing of its own here: what it is given, and what the row becomes meanwhile, is ours,
// after a restart of ours too. So the ledger comes first.
void Repairer::place(std::size_t index) {
  const FullKey& key = items_[index].key;
  c_.placed.insert_or_assign(key, true);
  Mutation placed;
  placed.kind = Mutation::Kind::placed;
  placed.unconfirmed = true;
  placed.key = key;
  placed.hlc = c_.hlc.next(c_.now.wall_ms);
  placed.mark = c_.mark;
  c_.store.apply_one(std::move(placed), c_.ops.token(*this, tag(index)), Durability::written);
}

void Repairer::on_applied(std::uint64_t tag, const Error& error, const ApplyResult&) {
  if (tag >> 16 != generation_ || items_.empty()) return;
  const std::size_t index = tag & 0xffff;
  if (items_[index].done) return;
  if (error.message.empty()) {
    return c_.store.load(items_[index].key, c_.ops.token(*this, tag));
  }
  c_.placed.erase(items_[index].key);
  finish(index, RepairOutcome::refused);
}

void Repairer::finish(std::size_t index, RepairOutcome outcome) {
  Item& item = items_[index];
  if (item.done) return;
  item.done = true;
  if (outcome == RepairOutcome::confirmed) ++c_.counters.repairs;
  if (outcome == RepairOutcome::refused) ++c_.counters.repairs_refused;
  events_.on_repaired(item.key, item.hlc, outcome);
  if (--unfinished_ == 0) {
    items_.clear();
    events_.on_chunk_done();
  }
}

}  // namespace stayd
