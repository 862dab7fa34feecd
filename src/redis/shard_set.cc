#include "redis/shard_set.h"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <utility>

#include "core/side_keys.h"

namespace stayd {

namespace {

constexpr std::string_view kFact = "cluster_shards";
constexpr std::int64_t kStoodStillUs = 1'000'000;

SlotSet all_slots() {
  return SlotSet().set();
}

}  // namespace

ShardSet::ShardSet(ShardSetOptions options, std::vector<SessionPolicy> policies, Store& store,
                   Dialer& dialer, Counters& counters, EventSink& events, Random& random)
    : options_(std::move(options)),
      policies_(std::move(policies)),
      store_(store),
      dialer_(dialer),
      counters_(counters),
      events_(events),
      random_(random) {
  if (options_.cluster) {
    shared_ = std::make_unique<SharedStore>(store);
    ledger_end_ = std::make_unique<LedgerEnd>(store);
    load();
    return;
  }
  Unit& one = units_.emplace_back();
  one.slots = all_slots();
  one.primary = options_.stack.link.endpoint;
  one.stack = std::make_unique<ShardStack>(options_.stack, PolicyTable(policies_), store, dialer,
                                           counters, events, random, options_.clock);
  if (options_.fleet != nullptr) one.stack->engine().join(*options_.fleet);
}

ShardSet::~ShardSet() = default;

ShardSet::Unit ShardSet::make_unit(std::string id, std::uint64_t version, const SlotSet& slots,
                                   const Endpoint& primary, bool dial) {
  Unit unit;
  unit.id = std::move(id);
  unit.version = version;
  unit.slots = slots;
  unit.primary = primary;
  ShardPlace place(unit.id, slots, version);
  unit.share = std::make_unique<StoreShare>(*shared_, "shard" + unit.id + ".");
  unit.share->set_slots(place.slots());
  StackOptions options = options_.stack;
  options.link.endpoint = dial ? primary : Endpoint{.port = 0};
  options.engine.address = primary.known() ? primary.text() : "of slots " + slot_ranges(slots);
  options.engine.near_cache_bytes /= std::max<std::size_t>(units_.size(), 3);
  unit.stack =
      std::make_unique<ShardStack>(std::move(options), PolicyTable(policies_), *unit.share, dialer_,
                                   counters_, events_, random_, &shared_->clock());
  Engine& engine = unit.stack->engine();
  engine.set_place(std::move(place));
  engine.set_ledger_end(ledger_end_.get());
  engine.set_push_handler(push_handler_);
  engine.set_slot_events(this);
  return unit;
}

// --- the durable fact: "next NUMBER", then a line for each:
// "ID VERSION CONFIG-EPOCH HOST PORT RANGES"

void ShardSet::load() {
  std::istringstream lines(store_.fact(kFact));
  std::string line, word;
  SlotSet seen;
  while (std::getline(lines, line)) {
    std::istringstream in(line);
    in >> word;
    if (word == "next") {
      in >> next_id_;
      continue;
    }
    std::uint64_t version = 0, config_epoch = 0;
    Endpoint primary;
    in >> version >> config_epoch >> primary.host >> primary.port;
    std::string ranges;
    std::getline(in >> std::ws, ranges);
    const auto slots = parse_slot_ranges(ranges);
    if (!slots || slots->none() || version == 0 || (*slots & seen).any()) continue;
    seen |= *slots;
    units_.push_back(make_unit(word, version, *slots, primary, false));
    units_.back().config_epoch = config_epoch;
  }
  const std::string instance = store_.fact("instance");
  const std::string& region = options_.stack.engine.region;
  for (const Unit& unit : units_) {
    const ShardPlace& place = unit.stack->engine().place();
    if (!instance.empty()) ledger_end_->expect(unit.id, canary_key(place, instance, region));
  }
  if (!seen.all()) {  // the first start; of a damaged fact, what is missing in it
    units_.push_back(make_unit(std::to_string(next_id_++), 1, ~seen, {.port = 0}, false));
  }
}

void ShardSet::save() {
  std::string text = "next " + std::to_string(next_id_) + "\n";
  for (const Unit& unit : units_) {
    const std::string host = unit.primary.host.empty() ? "?" : unit.primary.host;
    text += unit.id + " " + std::to_string(unit.version) + " " + std::to_string(unit.config_epoch) +
            " " + host + " " + std::to_string(unit.primary.port) + " " + slot_ranges(unit.slots) +
            "\n";
  }
  store_.put_fact(std::string(kFact), std::move(text));
}

// --- as one

CallHandler& ShardSet::handler() {
  return shared_ ? static_cast<CallHandler&>(router_) : units_.front().stack->engine();
}

void ShardSet::set_push_handler(ReplyHandler* handler) {
  push_handler_ = handler;
  for (Unit& unit : units_) unit.stack->engine().set_push_handler(handler);
}

void ShardSet::start(Now now) {
  now_ = now;
  started_us_ = now.mono_us;
  asks_first_ = shared_ != nullptr;
  for (Unit& unit : units_) unit.stack->start(now);
  if (shared_) tell_router();
}

// Nobody has anything to tell of the ledger's end any more.
void ShardSet::judge_end() {
  const auto judged = [](const Unit& one) { return one.stack->engine().has_judged_ledger(); };
  if (!std::ranges::all_of(units_, judged)) return;
  end_is_judged_ = true;
  ledger_end_->close();
  for (Unit& unit : units_) unit.stack->engine().end_doubts();
}

// Nobody tells who has which slots: as it was before.
void ShardSet::dial_as_known() {
  asks_first_ = false;
  for (Unit& unit : units_) {
    if (unit.primary.known()) unit.stack->move_to(unit.primary, "");
  }
}

// Who stood still may have missed changes of the Cluster.
void ShardSet::note_time(Now now) {
  const bool stood_still = now.mono_us - now_.mono_us > kStoodStillUs;
  now_ = now;
  if (stood_still && shared_) on_slot_elsewhere();
}

void ShardSet::set_now(Now now) {
  note_time(now);
  for (Unit& unit : units_) unit.stack->engine().set_now(now);
}

void ShardSet::on_tick(Now now) {
  note_time(now);
  for (Unit& unit : units_) unit.stack->on_tick(now);
  if (asks_first_ && now.mono_us - started_us_ >= options_.ask_first_ms * 1000) dial_as_known();
  if (shared_ && !end_is_judged_) judge_end();
  if (plan_) {
    for (std::size_t i = 0; i < units_.size(); ++i) {
      if (concerned(i)) units_[i].stack->engine().settle();
    }
    if (quiet()) carry_out();
  }
  const bool settled = now.mono_us - settled_us_ >= options_.settle_ms * 1000;
  if (latest_ && !plan_ && settled) follow(*std::exchange(latest_, std::nullopt));
}

void ShardSet::move_to(const Endpoint& primary, std::string_view cause) {
  units_.front().primary = primary;
  units_.front().stack->move_to(primary, cause);
}

void ShardSet::name_replicas(const Topology& topology) {
  for (Unit& unit : units_) {
    for (const ClusterShard& shard : topology.shards) {
      if (shard.primary != unit.primary) continue;
      std::vector<std::string> addresses;
      for (const Endpoint& replica : shard.replicas) addresses.push_back(replica.text());
      unit.stack->engine().name_replicas(std::move(addresses));
    }
  }
}

void ShardSet::hurry(const Endpoint& node) {
  for (Unit& unit : units_) {
    if (unit.stack->endpoint() == node) unit.stack->hurry();
  }
}

void ShardSet::replace_policies(const std::vector<SessionPolicy>& policies) {
  policies_ = policies;
  for (Unit& unit : units_) unit.stack->engine().replace_policies(PolicyTable(policies));
}

std::vector<LoginProbeStatus> ShardSet::login_probes() const {
  std::vector<LoginProbeStatus> out;
  for (const Unit& unit : units_) out.push_back(unit.stack->login_probe());
  return out;
}

void ShardSet::restart_adoption() {
  for (Unit& unit : units_) unit.stack->engine().restart_adoption();
}

bool ShardSet::up() const {
  return std::ranges::all_of(units_, [](const Unit& unit) { return unit.stack->up(); });
}

Endpoint ShardSet::some_primary() const {
  const auto up = std::ranges::find_if(units_, [](const Unit& unit) { return unit.stack->up(); });
  return (up == units_.end() ? units_.front() : *up).primary;
}

std::size_t ShardSet::calls_under_way() const {
  std::size_t calls = router_.waiting();
  for (const Unit& unit : units_) calls += unit.stack->engine().calls_under_way();
  return calls;
}

EngineStatus ShardSet::status() const {
  EngineStatus all = units_.front().stack->engine().status();
  if (!shared_) return all;
  for (std::size_t i = 0; i < units_.size(); ++i) {
    const EngineStatus one = i == 0 ? all : units_[i].stack->engine().status();
    all.shards.push_back({one.shard, units_[i].id, slot_ranges(units_[i].slots)});
    if (i == 0) continue;
    if (one.shard.trust < all.shard.trust) all.shard = one.shard;
    all.adoption_complete = all.adoption_complete && one.adoption_complete;
    all.adoption_settled = all.adoption_settled && one.adoption_settled;
    all.adopted += one.adopted;
    all.adoption_scanned += one.adoption_scanned;
    all.adoption_expected += one.adoption_expected;
    all.ledger_ok = all.ledger_ok && one.ledger_ok;
    all.to_read_back += one.to_read_back;
    all.truths += one.truths;
    all.calls_under_way += one.calls_under_way;
    all.replicas_known += one.replicas_known;
    all.cached_records += one.cached_records;
    all.cached_bytes += one.cached_bytes;
  }
  all.shard.debts = 0;
  all.shard.shared_unsafe = false;
  for (const NamedShard& one : all.shards) {
    all.shard.debts += one.status.debts;
    all.shard.shared_unsafe = all.shard.shared_unsafe || one.status.shared_unsafe;
  }
  return all;
}

// "-MOVED SLOT HOST:PORT" or "-ASK SLOT HOST:PORT", of a key that is no session.
void ShardSet::on_redirected(Call& call, std::string_view frame) {
  const bool asking = frame.starts_with("-ASK ");
  const auto place = frame.substr(0, frame.find('\r')).substr(frame.rfind(' ') + 1);
  const auto node = node_of_ ? node_of_(place) : std::nullopt;
  const std::string address = node ? node->text() : std::string(place);
  const auto unit = std::ranges::find_if(
      units_, [&](const Unit& one) { return one.stack->endpoint().text() == address; });
  if (unit == units_.end()) {
    return call.sink->on_reply(call, "-ERR stayd: Redis is unavailable\r\n");
  }
  unit->stack->engine().submit_redirected(call, asking);
}

const Engine& ShardSet::engine_of(Slot slot) const {
  const auto has = [slot](const Unit& unit) { return unit.slots[slot]; };
  return std::ranges::find_if(units_, has)->stack->engine();
}

void ShardSet::tell_router() {
  std::vector<CallHandler*> engines;
  ShardRouter::Owners owners{};
  for (std::size_t i = 0; i < units_.size(); ++i) {
    engines.push_back(&units_[i].stack->engine());
    for (std::size_t slot = 0; slot < owners.size(); ++slot) {
      if (units_[i].slots[slot]) owners[slot] = static_cast<std::uint16_t>(i);
    }
  }
  router_.set_owners(std::move(engines), owners);
}

}  // namespace stayd
