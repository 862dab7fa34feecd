#include "core/leftovers.h"

#include <algorithm>
#include <utility>

#include "core/lua.h"
#include "core/reply_class.h"
#include "resp/request_parser.h"

namespace stayd {

namespace {
constexpr std::int64_t kDeadlineMs = 1000;
}

void Leftovers::start() {
  const auto ours = [this](const InFlightTable::Leftover& leftover) {
    return c_.place.owns(key_of(leftover.keys.front()));  // all of them are in one slot
  };
  for (const auto& leftover : c_.in_flight.take_leftovers(ours)) {
    slots_.push_back(leftover.slot);
    for (const FullKey& key : leftover.keys) items_.push_back({key});
  }
  const auto by_key = [](const Item& a, const Item& b) { return a.key < b.key; };
  std::sort(items_.begin(), items_.end(), by_key);
  const auto same_key = [](const Item& a, const Item& b) { return a.key == b.key; };
  items_.erase(std::unique(items_.begin(), items_.end(), same_key), items_.end());
  c_.counters.leftover_keys += items_.size();
}

void Leftovers::add(InFlightTable::Slot slot, const std::vector<FullKey>& keys) {
  if (slot != InFlightTable::kNone) slots_.push_back(slot);
  for (const FullKey& key : keys) items_.push_back({key});
  c_.counters.leftover_keys += keys.size();
}

std::vector<FullKey> Leftovers::give_up() {
  std::vector<FullKey> given;
  for (const Item& item : items_) {
    if (!c_.place.owns(key_of(item.key))) given.push_back(item.key);
  }
  std::erase_if(items_, [this](const Item& item) { return !c_.place.owns(key_of(item.key)); });
  return given;
}

bool Leftovers::has(std::string_view key) const {
  const auto of_key = [key](const Item& item) { return item.key == key; };
  return std::any_of(items_.begin(), items_.end(), of_key);
}

void Leftovers::read() {
  chunk_begin_ = chunk_end_ = 0;
  failed_ = false;
  next_chunk();
}

void Leftovers::stop() {
  ++generation_;
  missing_.forget();
  unfinished_ = 0;
  in_use_.clear();
}

void Leftovers::next_chunk() {
  chunk_begin_ = chunk_end_;
  chunk_end_ = std::min(items_.size(), chunk_begin_ + kLeftoverChunk);
  if (chunk_begin_ == chunk_end_) {
    for (const auto slot : slots_) {
      if (!failed_) c_.in_flight.end(slot);
    }
    if (!items_.empty()) {
      c_.events.on_event({Severity::info,
                          "leftovers_read",
                          "writes that were on their way and not recorded are settled",
                          {{"keys", std::to_string(items_.size())}}});
    }
    slots_.clear();
    items_.clear();
    chunk_end_ = 0;
    return events_.on_leftovers_done();
  }
  ++generation_;
  missing_.forget();
  unfinished_ = chunk_end_ - chunk_begin_ + 1;
  for (std::size_t i = chunk_begin_; i < chunk_end_; ++i) ask(i);
  item_done();
}

void Leftovers::ask(std::size_t index) {
  Item& item = items_[index];
  if (c_.debts.has(item.key)) return item_done();
  item.hlc = c_.hlc.next(c_.now.wall_ms);
  request_.clear();
  append_read_back(request_, key_of(item.key));
  c_.upstream->send(request_, db_of(item.key), *this, tag(index), c_.deadline_us(kDeadlineMs));
}

// True when something has been done to the key since it was asked for, or is being done: then it is
// owed, or has to be asked for again.
bool Leftovers::settled_otherwise(std::size_t index) {
  const FullKey& key = items_[index].key;
  if (c_.debts.has(key)) {
    item_done();
  } else if (c_.keys.locked(key)) {
    in_use_.push_back(index);
  } else {
    return false;
  }
  return true;
}

void Leftovers::on_tick() {
  for (const std::size_t index : std::exchange(in_use_, {})) ask(index);
}

void Leftovers::on_upstream_reply(std::uint64_t tag, std::string_view frame) {
  if (tag >> 32 != generation_) return;
  const std::size_t index = tag & 0xffffffff;
  const ReplyClass reply_class = classify_reply(frame);
  if (is_out(reply_class)) {
    // As good as a lost connection: asked again on the next one, and until then as before the kill.
    if (c_.up()) c_.upstream->condemn(frame.substr(1, frame.find('\r') - 1));
    return;
  }
  if (settled_otherwise(index)) return;
  on_value(index, ReplyView(frame));
}

void Leftovers::on_value(std::size_t index, const ReplyView& reply) {
  auto record = parse_read_back(reply, c_.redis_offset_ms);
  Mutation mutation;
  if (!record) {
    mutation.kind = Mutation::Kind::stale;
    mutation.unconfirmed = true;
    events_.on_leftover_put_off(items_[index].key);
  } else if (!record->exists()) {
    const auto token = c_.ops.token(*this, tag(index));
    return c_.one_of_several() ? c_.store.load(items_[index].key, token)
                               : c_.store.load_meta(items_[index].key, token);
  } else {
    mutation.record = std::move(*record);
  }
  apply(std::move(mutation), index);
}

void Leftovers::on_loaded(std::uint64_t tag, const Error& error, Row row) {
  if (tag >> 32 != generation_) return;
  const std::size_t index = tag & 0xffffffff;
  const FullKey& key = items_[index].key;
  if (!error.message.empty()) {
    failed_ = true;
    events_.on_leftover_put_off(key);
    return item_done();
  }
  if (settled_otherwise(index)) return;
  if (!row.meta.live_at(c_.now.wall_ms)) {
    const bool elsewhere = c_.one_of_several() && !c_.options.observe;
    const bool logged_out = row.meta.state == RowState::tomb && !row.meta.provisional;
    return elsewhere ? bury(index, !logged_out) : item_done();
  }
  if (row.meta.stale) return item_done();
  if (!c_.up()) return;
  items_[index].row_hlc = row.meta.hlc;
  items_[index].row = std::move(row.record);
  missing_.ask(tag, key, row.meta);
}

void Leftovers::on_fate(std::uint64_t tag, Fate fate) {
  if (tag >> 32 != generation_) return;
  const std::size_t index = tag & 0xffffffff;
  if (settled_otherwise(index)) return;
  switch (fate) {
    case Fate::other_memory:
      return c_.upstream->condemn("its heartbeat key is not the last one written");
    case Fate::refused:
      return c_.upstream->condemn("it does not tell what it has lost");
    case Fate::lost:
      if (c_.options.observe) return bury(index);
      if (c_.one_of_several()) return renew(index);
      events_.on_leftover_lost(items_[index].key, items_[index].row_hlc);
      return item_done();
    case Fate::removed:
      return bury(index);
  }
}

// `provisional`: nobody has removed it.
void Leftovers::bury(std::size_t index, bool provisional) {
  Mutation tomb;
  tomb.kind = Mutation::Kind::tomb;
  tomb.provisional = provisional;
  tomb.tomb_until_ms = c_.now.wall_ms + kTombstoneMinMs + c_.options.max_island_ms;
  apply(std::move(tomb), index);
}

// Another Redis may have executed the write: what it makes of a row of before is overwritten there
// too.
void Leftovers::renew(std::size_t index) {
  Mutation mutation;
  mutation.record = std::move(items_[index].row);
  mutation.unconfirmed = true;
  events_.on_leftover_lost(items_[index].key, items_[index].hlc);
  apply(std::move(mutation), index);
}

void Leftovers::apply(Mutation mutation, std::size_t index) {
  mutation.key = items_[index].key;
  mutation.hlc = items_[index].hlc;
  mutation.mark = c_.mark;
  c_.cache.erase(mutation.key);
  c_.store.apply_one(std::move(mutation), c_.ops.token(*this, tag(index)), Durability::written);
}

void Leftovers::on_applied(std::uint64_t tag, const Error& error, const ApplyResult&) {
  if (tag >> 32 != generation_) return;
  if (!error.message.empty()) {
    failed_ = true;
    events_.on_leftover_put_off(items_[tag & 0xffffffff].key);
  }
  item_done();
}

void Leftovers::item_done() {
  if (--unfinished_ == 0) next_chunk();
}

}  // namespace stayd
