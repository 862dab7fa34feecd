#include "core/adopter.h"

#include <charconv>

#include "core/lua.h"
#include "core/side_keys.h"
#include "resp/reply.h"
#include "resp/request_parser.h"

namespace stayd {

namespace {
constexpr std::size_t kPage = 100;  // SCAN COUNT: gentle on Redis (F06)
constexpr std::size_t kMaxWanted = 65'536;
constexpr std::int64_t kDeadlineMs = 1000;
constexpr std::int64_t kRetryUs = 250'000;  // after Redis or the ledger refused
constexpr std::uint64_t kTagDatabases = 0xffffe;
constexpr std::uint64_t kTagScan = 0xfffff;

// The number in "0:keys=12,expires=3,avg_ttl=0".
std::uint64_t keys_in(std::string_view line) {
  constexpr std::string_view kBefore = ":keys=";
  const std::size_t at = line.find(kBefore);
  std::uint64_t keys = 0;
  if (at == std::string_view::npos) return 0;
  std::from_chars(line.data() + at + kBefore.size(), line.data() + line.size(), keys);
  return keys;
}
}  // namespace

void Adopter::start() {
  saved_ = complete_ = c_.store.fact("adoption") == "done";
}

void Adopter::restart() {
  if (step_ == Step::reading && !page_is_scan_) {
    for (const Item& item : items_) wanted_.push_back(item);
  }
  start_over();
}

void Adopter::start_over() {
  saved_ = complete_ = false;
  c_.store.put_fact("adoption", "");
  ++generation_;
  missing_.forget();
  step_ = Step::idle;
  dbs_.clear();
  cursor_ = "0";
  failed_ = false;
}

std::vector<Adopter::Wanted> Adopter::give_up() {
  std::vector<Wanted> given;
  for (const Item& item : wanted_) {
    if (!c_.place.owns(key_of(item.key))) given.push_back({item.key, item.force});
  }
  std::erase_if(wanted_, [this](const Item& item) { return !c_.place.owns(key_of(item.key)); });
  return given;
}

void Adopter::want(const FullKey& key, bool force) {
  if (wanted_.size() >= kMaxWanted) {
    wanted_.clear();
    start_over();
    return;
  }
  wanted_.push_back({.key = key, .force = force});
}

void Adopter::on_link_lost() {
  if (!page_is_scan_) {
    for (Item& item : items_) wanted_.push_back(std::move(item));
  }
  ++generation_;
  missing_.forget();
  step_ = Step::idle;
  items_.clear();
  dbs_.clear();  // a cursor means nothing to another process; and a page was under way
  cursor_ = "0";
  failed_ = false;
}

void Adopter::note_complete() {
  complete_ = true;
  completed_us_ = c_.place.everything() ? 0 : c_.now.mono_us;
  if (complete()) save_end();
}

void Adopter::on_tick(bool trusted) {
  if (!saved_ && complete()) save_end();
  if (!trusted || !c_.up() || step_ != Step::idle || c_.now.mono_us < paused_until_us_) return;
  if (!wanted_.empty() || c_.unrecorded.size() != 0) {
    items_.clear();
    missing_.forget();
    while (!wanted_.empty() && items_.size() < kPage) {
      items_.push_back(std::move(wanted_.front()));
      wanted_.pop_front();
    }
    for (FullKey& key : c_.unrecorded.some(kPage - items_.size())) {
      items_.push_back({.key = std::move(key), .force = true});
    }
    page_is_scan_ = false;
    step_ = Step::reading;
    unfinished_ = items_.size();
    for (std::size_t i = 0; i < items_.size(); ++i) read(i);
    return;
  }
  if (complete_) return;
  if (dbs_.empty()) {
    list_databases();
  } else {
    scan_next();
  }
}

void Adopter::list_databases() {
  step_ = Step::listing;
  request_.clear();
  append_request(request_, {"INFO", "keyspace"});
  c_.upstream->send(request_, -1, *this, generation_ << 20 | kTagDatabases,
                    c_.deadline_us(kDeadlineMs));
}

void Adopter::on_databases(std::string_view info) {
  if (!info.starts_with("# Keyspace")) {
    step_ = Step::idle;  // refused just now; asked again
    paused_until_us_ = c_.now.mono_us + kRetryUs;
    return;
  }
  scanned_ = expected_ = 0;
  std::size_t at = 0;
  while ((at = info.find("\ndb", at)) != std::string_view::npos) {
    at += 3;
    int db = 0;
    std::from_chars(info.data() + at, info.data() + info.size(), db);
    if (db >= 0 && db < kDatabases) dbs_.push_back(db);
    expected_ += keys_in(info.substr(at, info.find('\n', at) - at));
  }
  step_ = Step::idle;
  cursor_ = "0";
  if (dbs_.empty()) {
    note_complete();
  }
}

void Adopter::scan_next() {
  step_ = Step::scanning;
  request_.clear();
  append_request(request_, {"SCAN", cursor_, "COUNT", std::to_string(kPage)});
  c_.upstream->send(request_, dbs_.back(), *this, generation_ << 20 | kTagScan,
                    c_.deadline_us(kDeadlineMs));
}

void Adopter::on_scan_page(std::string_view frame) {
  const ReplyView reply(frame);
  auto parts = reply.elements();
  ReplyView cursor;
  ReplyView keys;
  if (reply.type() != ReplyType::array || !parts.next(cursor) || !parts.next(keys)) {
    step_ = Step::idle;  // refused just now; asked again at the next tick
    return;
  }
  cursor_ = cursor.text();
  last_page_ = cursor_ == "0";
  items_.clear();
  auto elements = keys.elements();
  ReplyView key;
  while (elements.next(key)) {
    // Of a Cluster: keys of slots, too, that came before anybody has said so. No other engine sees
    // them here.
    if (!is_side_key(key.text())) items_.push_back({full_key(dbs_.back(), key.text()), 0, false});
  }
  page_is_scan_ = true;
  scanned_ += items_.size();
  step_ = Step::reading;
  unfinished_ = items_.size() + 1;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    c_.store.load_meta(items_[i].key, c_.ops.token(*this, generation_ << 20 | i));
  }
  item_done();
}

void Adopter::on_loaded(std::uint64_t tag, const Error& error, Row row) {
  if (tag >> 20 != generation_) return;
  const std::size_t index = tag & 0xfffff;
  if (!page_is_scan_) {
    return error.message.empty() ? settle_missing(index, std::move(row)) : put_off(index);
  }
  const bool known =
      row.meta.state != RowState::absent && !row.meta.stale && c_.rules.adoption_keeps_rows;
  failed_ = failed_ || !error.message.empty();
  if (!error.message.empty() || known) {
    item_done();
  } else if (c_.up()) {
    read(index);
  }
}

void Adopter::want_again(const Item& item) {
  if (!c_.unrecorded.has(item.key)) want(item.key, item.force);
}

// Redis or the ledger has just refused: once more, a little later.
void Adopter::put_off(std::size_t index) {
  paused_until_us_ = c_.now.mono_us + kRetryUs;
  want_again(items_[index]);
  item_done();
}

void Adopter::read(std::size_t index) {
  Item& item = items_[index];
  if (c_.keys.locked(item.key) || c_.debts.has(item.key) || c_.unwritten_tombs.contains(item.key)) {
    // A logout, or a debt, may stand in the ledger and not yet in Redis: what Redis says is no
    // news.
    want_again(item);
    item_done();
    return;
  }
  item.hlc = c_.hlc.next(c_.now.wall_ms);
  request_.clear();
  append_read_back(request_, key_of(item.key));
  c_.upstream->send(request_, db_of(item.key), *this, generation_ << 20 | index,
                    c_.deadline_us(kDeadlineMs));
}

void Adopter::on_upstream_reply(std::uint64_t tag, std::string_view frame) {
  if (tag >> 20 != generation_) return;
  const std::uint64_t what = tag & 0xfffff;
  if (what == kTagDatabases) return on_databases(ReplyView(frame).text());
  if (what == kTagScan) return on_scan_page(frame);
  on_value(what, ReplyView(frame));
}

void Adopter::on_value(std::size_t index, const ReplyView& reply) {
  Item& item = items_[index];
  const std::uint64_t tag = generation_ << 20 | index;
  auto record = parse_read_back(reply, c_.redis_offset_ms);
  if (!record || (!record->exists() && !item.force)) {
    failed_ = failed_ || (!record && c_.place.owns(key_of(item.key)));  // else on its way
    if (record) events_.on_not_found(item.key);
    return !record && !page_is_scan_ ? put_off(index) : item_done();
  }
  if (!record->exists()) return c_.store.load(item.key, c_.ops.token(*this, tag));
  Mutation mutation;
  mutation.key = item.key;
  mutation.hlc = item.hlc;
  mutation.mark = c_.mark;
  mutation.only_if_unknown = !item.force && c_.rules.adoption_keeps_rows;
  mutation.record = std::move(*record);
  c_.store.apply_one(std::move(mutation), c_.ops.token(*this, tag), Durability::written);
}

// Redis does not have a key whose value only it could tell. That is proof when its memory is still
// the one in which the value became unknown, and has evicted nothing since (R4); otherwise the last
// value known is the best there is. Where the ledger knows nothing either, another Redis may have
// executed what the ledger has missed: a tombstone of now overwrites it.
void Adopter::settle_missing(std::size_t index, Row row) {
  Item& item = items_[index];
  const bool buried = c_.unwritten_tombs.contains(item.key);
  const bool missed = c_.one_of_several() && c_.unrecorded.has(item.key);
  if (missed && !buried && row.meta.state != RowState::live) {
    return remove(index, row.meta.state == RowState::absent || row.meta.provisional);
  }
  if (row.meta.state != RowState::live || buried) {
    c_.unrecorded.settle(item.key, item.hlc);
    return item_done();
  }
  const bool removed = c_.unrecorded.removed_since(item.key, row.meta.hlc);
  item.row = std::move(row);
  if (removed || !item.row.record.exists()) return remove(index);
  if (item.row.meta.mark.epoch != c_.mark.epoch) return restore(index);
  if (!c_.up()) return;
  missing_.ask(generation_ << 20 | index, item.key, item.row.meta);
}

void Adopter::on_fate(std::uint64_t tag, Fate fate) {
  if (tag >> 20 != generation_) return;
  const std::size_t index = tag & 0xfffff;
  switch (fate) {
    case Fate::lost:
      return restore(index);
    case Fate::removed:
      return remove(index);
    case Fate::other_memory:
      put_off(index);
      return events_.on_heartbeat_lost();
    case Fate::refused:
      return put_off(index);
  }
}

// Unless somebody is writing it: the row of now would stand above what he writes.
void Adopter::restore(std::size_t index) {
  Item& item = items_[index];
  if (c_.keys.locked(item.key) || c_.keys.in_flight(item.key) != 0 || c_.debts.has(item.key)) {
    want_again(item);
    return item_done();
  }
  Mutation mutation;
  mutation.key = item.key;
  mutation.mark = c_.mark;
  mutation.hlc = c_.hlc.next(c_.now.wall_ms);
  mutation.record = std::move(item.row.record);
  events_.on_restored(item.key, mutation.hlc);
  c_.store.apply_one(std::move(mutation), c_.ops.token(*this, generation_ << 20 | index),
                     Durability::written);
}

// `provisional`: nobody has removed it.
void Adopter::remove(std::size_t index, bool provisional) {
  Mutation tomb;
  tomb.kind = Mutation::Kind::tomb;
  tomb.provisional = provisional;
  tomb.key = items_[index].key;
  tomb.mark = c_.mark;
  tomb.hlc = items_[index].hlc;
  tomb.tomb_until_ms = c_.now.wall_ms + kTombstoneMinMs;
  c_.store.apply_one(std::move(tomb), c_.ops.token(*this, generation_ << 20 | index),
                     Durability::written);
}

void Adopter::on_upstream_lost(std::uint64_t) {}

void Adopter::on_applied(std::uint64_t tag, const Error& error, const ApplyResult& result) {
  if (tag >> 20 != generation_) return;
  const Item& item = items_[tag & 0xfffff];
  if (!error.message.empty()) {
    failed_ = failed_ || page_is_scan_;  // what it lacks must not pass for what nobody has
    return put_off(tag & 0xfffff);
  }
  if (result.outcome == ApplyOutcome::applied) {
    c_.unrecorded.settle(item.key, item.hlc);
    ++adopted_;
    ++c_.counters.adopted_keys;
    events_.on_adopted(item.key);
  }
  item_done();
}

void Adopter::item_done() {
  if (--unfinished_ > 0) return;
  step_ = Step::idle;
  items_.clear();
  if (!page_is_scan_ || !last_page_) return;
  if (failed_) {  // keys were left out: once more, from the beginning
    failed_ = false;
    dbs_.clear();
    cursor_ = "0";
    paused_until_us_ = c_.now.mono_us + kRetryUs;
    return;
  }
  dbs_.pop_back();
  cursor_ = "0";
  if (dbs_.empty()) {
    note_complete();
    c_.events.on_event({Severity::info,
                        "adoption_complete",
                        "every key that Redis held is now in the ledger",
                        {{"adopted", std::to_string(adopted_)}}});
  }
}

void Adopter::save_end() {
  saved_ = true;
  c_.store.put_fact("adoption", "done");
}

}  // namespace stayd
