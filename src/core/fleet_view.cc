#include "core/fleet_view.h"

#include <algorithm>
#include <charconv>

#include "core/side_keys.h"
#include "resp/request_parser.h"

namespace stayd {

namespace {
constexpr std::int64_t kAtWorkUs = 3'000'000;   // after its last heartbeat (R12)
constexpr std::int64_t kPendingUs = 1'000'000;  // two heartbeats, and what they take
constexpr std::int64_t kVerdictUs = 1'000'000;
constexpr std::int64_t kEvictedUs = 2'000'000;  // what may be pending, and what that takes
}  // namespace

void FleetView::on_trust(Trust trust) {
  if (trust == Trust::trusted && trust_ != trust) trusted_from_ = c_.hlc.last();
  trust_ = trust;
  if (trust == Trust::out) pending_.clear();  // the next connection looks at every row
  if (trust == Trust::suspect) {              // what this memory had once it may have lost
    for (auto& [of, beat] : beats_) beat.forget();
  }
}

void FleetView::on_connection() {
  connected_us_ = c_.now.mono_us;
  beats_.clear();
  own_.fill(0);
  pending_.clear();
  has_.clear();
  read_back_.clear();
  others_.clear();
  evicted_keys_ = kUnknownCount;
  store_.poll();
}

bool FleetView::has_heard() const {
  const FleetStatus status = store_.status();
  if (!status.backup.up) return !status.backup.error.empty();  // else it is being connected to
  return status.feed_read_us > connected_us_;
}

// --- heartbeats

void FleetView::note_other(std::string_view instance) {
  std::uint64_t host = 0;
  std::from_chars(instance.data(), instance.data() + instance.size(), host);
  if (host != 0 && host != host_of(store_.origin())) others_.insert(host);
}

bool FleetView::append_beats(std::string& request) {
  std::set<std::uint64_t> hosts = others_;
  for (const FleetHostSeen& host : store_.hosts()) {
    if (host.entry.instance != host_of(store_.origin())) hosts.insert(host.entry.instance);
  }
  asked_.assign(hosts.begin(), hosts.end());
  if (asked_.empty()) return false;
  std::vector<std::string> names;
  for (const std::uint64_t host : asked_) {
    names.push_back(canary_key(c_.place, origin_text(host), c_.options.region));
  }
  Args args{"MGET"};
  for (const std::string& name : names) args.push_back(name);
  append_request(request, args);
  return true;
}

void FleetView::on_beats(int db, const ReplyView& reply) {
  auto elements = reply.elements();
  ReplyView element;
  for (std::size_t i = 0; i < asked_.size() && elements.next(element); ++i) {
    const auto canary = Canary::parse(element.text());
    if (!canary) {  // evicted, perhaps: whose it is may be at work all the same
      const auto at = beats_.find({asked_[i], db});
      if (at != beats_.end()) at->second.forget();
      continue;
    }
    Beat& beat = beats_[{asked_[i], db}];
    if (beat.told.count != canary->count) {
      beat.changes = beat.changed_us != 0;
      beat.changed_us = c_.now.mono_us;
    }
    const Hlc had = beat.told.position;  // once, and it is the same memory
    beat.told = *canary;
    beat.told.position = std::max(had, canary->position);
  }
}

const FleetView::Beat* FleetView::beat_of(std::uint64_t host, int db) const {
  const auto at = beats_.find({host, db});
  return at == beats_.end() ? nullptr : &at->second;
}

bool FleetView::at_work(std::uint64_t host, int db) const {
  const Beat* beat = beat_of(host, db);
  return beat != nullptr && c_.now.mono_us - beat->changed_us < kAtWorkUs;
}

// Its maker has sent it to this memory, and will tell by when.
bool FleetView::may_come(const FullKey& key, const RowMeta& row) const {
  const std::uint64_t host = host_of(row.origin);
  if (!row.through_redis || is_own(row) || !at_work(host, db_of(key))) return false;
  const Beat* beat = beat_of(host, db_of(key));
  return beat->changes && beat->told.to != 0 && row.hlc > beat->told.from;
}

bool FleetView::here(const FullKey& key, const RowMeta& row) const {
  const int db = db_of(key);
  if (is_own(row)) {
    if (trust_ == Trust::trusted) return !c_.debts.has(key);
    return row.hlc <= own_[static_cast<std::size_t>(db)];
  }
  const Beat* beat = beat_of(host_of(row.origin), db);
  if (beat == nullptr) return false;
  const Canary& told = beat->told;
  if (row.hlc <= told.position) return true;
  return row.through_redis && told.from < row.hlc && row.hlc <= told.to;
}

Hlc FleetView::all_here_to(int db) const {
  Hlc lowest = own_[static_cast<std::size_t>(db)];
  for (const FleetHostSeen& host : store_.hosts()) {
    if (host.entry.instance == host_of(store_.origin())) continue;
    const Beat* beat = beat_of(host.entry.instance, db);
    lowest = std::min(lowest, beat == nullptr ? 0 : beat->told.position);
  }
  return lowest;
}

bool FleetView::is_left_to_maker(const RowMeta& row, int db) const {
  if (is_own(row)) return false;
  return at_work(host_of(row.origin), db) || c_.now.mono_us - connected_us_ < kAtWorkUs;
}

bool FleetView::is_only_one() const {
  const auto is_own = [this](const FleetHostSeen& host) {
    return host.entry.instance == host_of(store_.origin());
  };
  return store_.status().feed_read_us != 0 && others_.empty() &&
         std::ranges::all_of(store_.hosts(), is_own);
}

bool FleetView::has_company() const {
  return std::ranges::any_of(
      beats_, [this](const auto& beat) { return at_work(beat.first.first, beat.first.second); });
}

std::size_t FleetView::hosts_at_work() const {
  std::set<std::uint64_t> hosts;
  for (const auto& [of, beat] : beats_) {
    if (beat.changes && at_work(of.first, of.second)) hosts.insert(of.first);
  }
  return hosts.size();
}

bool FleetView::all_shipped_since(std::int64_t mono_us) const {
  const std::uint64_t own = host_of(store_.origin());
  const bool unknown = std::ranges::any_of(others_, [&](std::uint64_t host) {
    return at_work(host, 0) && std::ranges::none_of(store_.hosts(), [&](const auto& known) {
             return known.entry.instance == host;
           });
  });
  if (unknown) return false;
  return std::ranges::all_of(store_.hosts(), [&](const FleetHostSeen& host) {
    const std::int64_t told_us = host.read_us - host.told_ago_ms * 1000;
    const bool lives = c_.now.mono_us - told_us < kAtWorkUs || at_work(host.entry.instance, 0);
    return host.entry.instance == own || !lives || host.shipped_since(mono_us);
  });
}

// --- rows of others

void FleetView::on_foreign(const FullKey& key, const RowMeta& theirs) {
  events_.on_foreign_row(key);
  pending_.erase(key);
  if (trust_ == Trust::out) return;
  // A write of this life that the ledger could not take: without Redis it was made, and is owed.
  if (theirs.origin == store_.origin() && theirs.through_redis) return;
  const bool is_here =
      is_own(theirs) ? theirs.hlc <= own_[static_cast<std::size_t>(db_of(key))] : here(key, theirs);
  if (is_here) return;
  if (c_.debts.has(key)) return c_.debts.add_foreign(key, theirs.hlc);
  if (!may_come(key, theirs)) return owe(key, theirs);
  pending_[key] = {theirs, c_.now.mono_us};
}

void FleetView::note_evicted(std::uint64_t evicted_keys) {
  if (evicted_keys != evicted_keys_ && evicted_keys_ != kUnknownCount) evicted_us_ = c_.now.mono_us;
  evicted_keys_ = evicted_keys;
}

bool FleetView::awaits(const FullKey& key, const RowMeta& row) {
  if (evicted_us_ != 0 && c_.now.mono_us - evicted_us_ < kEvictedUs) return false;
  if (pending(key)) return true;
  if (trust_ != Trust::trusted || here(key, row) || !may_come(key, row)) return false;
  pending_[key] = {row, c_.now.mono_us};
  return true;
}

void FleetView::owe(const FullKey& key, const RowMeta& row) {
  c_.debts.add_foreign(key, row.hlc);
}

void FleetView::on_tick() {
  if (pending_.empty()) return;
  std::vector<FullKey> ended;
  for (const auto& [key, pending] : pending_) {
    const bool is_here = here(key, pending.row);
    const bool late = c_.now.mono_us - pending.since_us > kPendingUs || !may_come(key, pending.row);
    if (!is_here && late) owe(key, pending.row);
    if (is_here || late) ended.push_back(key);
  }
  for (const FullKey& key : ended) pending_.erase(key);
}

Verdict FleetView::judge(const FullKey& key, const RowMeta& ours, const RowMeta& theirs,
                         std::int64_t asked_us) {
  const bool later = theirs.version() > ours.version();
  if (trust_ != Trust::trusted) return later ? Verdict::theirs : Verdict::ours;
  const bool in_redis = here(key, theirs) || may_come(key, theirs);
  const bool waited = c_.now.mono_us - asked_us >= kVerdictUs;
  if (theirs.state == RowState::live) {
    if (in_redis) return is_read_back(key, theirs.version()) ? Verdict::read_back : Verdict::wait;
    if (!waited) return Verdict::wait;
    return later ? Verdict::theirs : Verdict::ours;
  }
  // Nothing but a whole value, by order of a client, can have come after a removal: the rest found
  // the key there.
  if (ours.unshipped != Unshipped::whole) return Verdict::theirs;
  if (!in_redis) return waited ? Verdict::theirs : Verdict::wait;
  const auto has = redis_has(key, theirs.version());
  if (!has) return Verdict::wait;
  if (!*has) return Verdict::theirs;
  // A tombstone is in the backup before it is in Redis.
  if (here(key, theirs)) return Verdict::ours;
  return waited ? Verdict::theirs : Verdict::wait;
}

// Until it is, the ledger's row is from before theirs and must not go on top of it.
bool FleetView::is_read_back(const FullKey& key, Version about) {
  ReadBack& one = read_back_[key];
  if (one.done && one.about == about) {
    read_back_.erase(key);
    return true;
  }
  if (one.about == about && c_.now.mono_us - one.since_us < kVerdictUs) return false;
  one = {about, false, c_.now.mono_us};
  events_.on_read_back_wanted(key);
  return false;
}

void FleetView::on_read_back(const FullKey& key) {
  const auto at = read_back_.find(key);
  if (at != read_back_.end()) at->second.done = true;
}

std::optional<bool> FleetView::redis_has(const FullKey& key, Version about) {
  Asked& asked = has_[key];
  if (asked.about == about && asked.number != 0) {
    if (!asked.has) return std::nullopt;
    const bool has = *asked.has;
    has_.erase(key);
    return has;
  }
  if (!c_.up()) return std::nullopt;
  asked = {about, ++last_asked_, std::nullopt};
  std::string request;
  append_request(request, {"EXISTS", key_of(key)});
  c_.upstream->send(request, db_of(key), *this, asked.number, c_.deadline_us(kVerdictUs / 1000));
  return std::nullopt;
}

void FleetView::on_upstream_reply(std::uint64_t tag, std::string_view frame) {
  const auto of_tag = [tag](const auto& entry) { return entry.second.number == tag; };
  const auto at = std::find_if(has_.begin(), has_.end(), of_tag);
  if (at == has_.end()) return;
  if (frame[0] != ':') {
    has_.erase(at);
  } else {
    at->second.has = frame[1] != '0';
  }
}

void FleetView::on_upstream_lost(std::uint64_t tag) {
  boost::unordered::erase_if(has_, [tag](const auto& one) { return one.second.number == tag; });
}

}  // namespace stayd
