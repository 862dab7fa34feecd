#include "core/shard_router.h"

#include <algorithm>
#include <set>
#include <utility>

#include "resp/reply.h"
#include "session/scan_options.h"

namespace stayd {

namespace {

constexpr std::string_view kCrossSlot =
    "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
constexpr std::string_view kOneDatabase =
    "-ERR stayd: a Redis Cluster has database 0 and no other\r\n";
constexpr std::string_view kNull = "_\r\n";
constexpr std::string_view kOk = "+OK\r\n";
constexpr std::string_view kOddMset = "-ERR wrong number of arguments for 'mset' command\r\n";
constexpr std::string_view kNotFlushed =
    "-ERR stayd: a shard of Redis is out, it cannot be flushed now\r\n";

// A cursor of ours: the engine's number in the low bits, its own cursor above; the bit by which an
// engine knows those of the ledger stays where it is.
constexpr std::uint64_t kLedgerCursorBit = std::uint64_t{1} << 63;
constexpr std::uint64_t kEngines = 1024;

std::uint64_t outer_cursor(std::uint64_t inner, std::uint64_t engine) {
  return (inner & kLedgerCursorBit) | ((inner & ~kLedgerCursorBit) * kEngines + engine);
}
std::uint64_t inner_cursor(std::uint64_t outer) {
  return (outer & kLedgerCursorBit) | (outer & ~kLedgerCursorBit) / kEngines;
}

// Commands that Redis refuses in a Cluster, or that need a second database.
bool needs_databases(const Call& call) {
  const auto& name = call.spec->name;
  if (name == "move" || name == "swapdb") return true;
  if (name == "select") return call.args[1] != "0";
  if (name != "copy") return false;
  return std::any_of(call.args.begin() + 3, call.args.end(),
                     [](std::string_view arg) { return equals_ignore_case(arg, "db"); });
}

}  // namespace

// A command that several engines work on, or one whose reply is rewritten.
class ShardRouter::Split final : public CallSink {
 public:
  Split(ShardRouter& router, Call& whole, Join how, std::vector<Part> parts)
      : router_(router),
        whole_(whole),
        how_(how),
        parts_(std::move(parts)),
        replies_(parts_.size()),
        missing_(parts_.size()) {
    for (Part& part : parts_) part.call->sink = this;
  }

  void set_scan(std::size_t engine, std::size_t engines) {
    scanned_ = engine;
    engines_ = engines;
  }
  std::size_t size() const { return parts_.size(); }
  Call& part(std::size_t i) { return *parts_[i].call; }
  Call& whole() { return whole_; }

 private:
  void on_reply(Call& call, std::string_view reply) override {
    const auto part =
        std::ranges::find_if(parts_, [&](const Part& one) { return one.call.get() == &call; });
    replies_[static_cast<std::size_t>(part - parts_.begin())] = reply;
    if (--missing_ > 0) return;
    router_.end(*this, engines_ == 0 ? join(how_, parts_, replies_) : scan_reply());
  }

  // With the cursor that leads on: to the next engine, when this one is through.
  std::string scan_reply() const {
    const ReplyView reply(replies_.front());
    auto elements = reply.elements();
    ReplyView cursor, keys;
    if (reply.is_error() || !elements.next(cursor) || !elements.next(keys)) return replies_.front();
    std::uint64_t inner = 0;
    parse_scan_cursor(cursor.text(), inner);
    const bool last = inner == 0 && scanned_ + 1 == engines_;
    const auto engine = inner == 0 ? scanned_ + 1 : scanned_;
    std::string out;
    write_array(out, 2);
    write_bulk(out, std::to_string(last ? 0 : outer_cursor(inner, engine)));
    return out.append(keys.frame());
  }

  ShardRouter& router_;
  Call& whole_;
  Join how_;
  std::vector<Part> parts_;
  std::vector<std::string> replies_;
  std::size_t missing_;
  std::size_t scanned_ = 0;
  std::size_t engines_ = 0;  // of a SCAN
};

ShardRouter::ShardRouter() : owners_(std::make_unique<Owners>()) {
  owners_->fill(0);
}

ShardRouter::~ShardRouter() = default;

void ShardRouter::set_owners(std::vector<CallHandler*> engines, const Owners& owners) {
  std::set<CallHandler*> changed;
  for (std::size_t slot = 0; slot < owners.size() && !engines_.empty(); ++slot) {
    CallHandler* const before = engines_[(*owners_)[slot]];
    CallHandler* const after = engines[owners[slot]];
    if (before != after) changed.insert({before, after});
  }
  engines_ = std::move(engines);
  *owners_ = owners;
  // Nobody has watched the keys in between: their EXEC is null.
  for (auto& [client, watched] : watching_) {
    if (!changed.contains(watched)) continue;
    if (std::ranges::find(engines_, watched) != engines_.end()) watched->client_gone(client);
    watched = nullptr;
  }
}

void ShardRouter::hold(std::vector<bool> engines) {
  held_ = std::move(engines);
}

void ShardRouter::release() {
  held_.clear();
  for (auto waiting = std::exchange(waiting_, {}); !waiting.empty(); waiting.pop_front()) {
    route(*waiting.front());
  }
}

bool ShardRouter::redis_answers() const {
  return std::ranges::any_of(engines_, [](const auto* engine) { return engine->redis_answers(); });
}

void ShardRouter::client_gone(std::uint64_t client_id) {
  watching_.erase(client_id);
  for (CallHandler* engine : engines_) engine->client_gone(client_id);
}

// --- where a call goes

void ShardRouter::submit(Call& call) {
  ended_.clear();
  if (needs_databases(call)) return call.sink->on_reply(call, kOneDatabase);
  route(call);
}

bool ShardRouter::add_slots(const Call& call, std::vector<Slot>& slots) {
  if (!find_keys(*call.spec, call.args, positions_)) return false;
  for (const auto at : positions_) slots.push_back(slot_of(call.args[at]));
  return true;
}

void ShardRouter::route(Call& call) {
  if (call.spec->name == "exec") return route_block(call);
  slots_.clear();
  if (!add_slots(call, slots_) || slots_.empty()) return route_keyless(call);
  const bool one = std::ranges::all_of(slots_, [this](Slot slot) { return slot == slots_[0]; });
  if (!one) {
    const Join how = join_of_keys(*call.spec);
    if (how == Join::none) return call.sink->on_reply(call, kCrossSlot);
    const bool odd = call.spec->name == "mset" && call.args.size() % 2 == 0;
    if (odd) return call.sink->on_reply(call, kOddMset);
    return split_by_keys(call, how);
  }
  if (call.spec->name == "watch") return watch(call);
  to_engine((*owners_)[slots_[0]], call);
}

void ShardRouter::to_engine(std::uint16_t engine, Call& call) {
  if (is_held(engine)) {
    waiting_.push_back(&call);
  } else {
    engines_[engine]->submit(call);
  }
}

bool ShardRouter::any_held() const {
  return std::ranges::any_of(held_, [](bool held) { return held; });
}

// One that Redis can answer, if there is any.
void ShardRouter::to_any(Call& call) {
  for (std::size_t i = 0; i < engines_.size(); ++i) {
    if (engines_[i]->redis_answers() && (held_.empty() || !held_[i])) {
      return engines_[i]->submit(call);
    }
  }
  to_engine(0, call);
}

void ShardRouter::route_keyless(Call& call) {
  const auto& name = call.spec->name;
  if (name == "scan") return scan(call);
  if (name == "unwatch") return unwatch(call);
  const Join how = join_of_all(*call.spec);
  if (how == Join::none) return to_any(call);
  if (call.spec->handling == Handling::flush) {
    const bool all = std::ranges::all_of(
        engines_, [](const CallHandler* engine) { return engine->may_flush(); });
    if (!all) return call.sink->on_reply(call, kNotFlushed);
  }
  to_all(call, how);
}

// Why a block is not run; empty: slots_ says where it may.
std::string_view ShardRouter::refusal_of(const Call& block) {
  slots_.clear();
  for (const auto& queued : block.block) {
    if (needs_databases(*queued)) return kOneDatabase;
    add_slots(*queued, slots_);
  }
  if (std::ranges::any_of(slots_, [this](Slot slot) { return slot != slots_[0]; })) {
    return kCrossSlot;
  }
  const auto watch = watching_.find(block.client_id);
  if (watch == watching_.end()) return {};
  if (watch->second == nullptr) return kNull;
  const bool elsewhere = !slots_.empty() && engines_[(*owners_)[slots_[0]]] != watch->second;
  return elsewhere ? kCrossSlot : std::string_view();
}

void ShardRouter::route_block(Call& call) {
  const std::string_view refusal = refusal_of(call);
  if (!refusal.empty()) {
    end_watch(call.client_id);
    return call.sink->on_reply(call, refusal);
  }
  const auto watch = watching_.find(call.client_id);
  if (watch == watching_.end()) {
    return slots_.empty() ? to_any(call) : to_engine((*owners_)[slots_[0]], call);
  }
  const auto engine = index_of(watch->second);
  if (!is_held(engine)) watching_.erase(watch);  // else it may be in doubt when this goes on
  to_engine(engine, call);
}

// A client watches keys of one engine at a time.
void ShardRouter::watch(Call& call) {
  const auto engine = (*owners_)[slots_[0]];
  if (is_held(engine)) return to_engine(engine, call);
  CallHandler* const here = engines_[engine];
  CallHandler* const watched = watching_.try_emplace(call.client_id, here).first->second;
  if (watched == nullptr) return call.sink->on_reply(call, kOk);  // EXEC is null in any case
  if (watched != here) return call.sink->on_reply(call, kCrossSlot);
  to_engine(engine, call);
}

void ShardRouter::unwatch(Call& call) {
  const auto watch = watching_.find(call.client_id);
  if (watch == watching_.end()) return to_any(call);
  const bool held = watch->second != nullptr && is_held(index_of(watch->second));
  if (held) return waiting_.push_back(&call);
  end_watch(call.client_id);
  call.sink->on_reply(call, kOk);
}

void ShardRouter::end_watch(std::uint64_t client_id) {
  const auto watch = watching_.extract(client_id);
  if (!watch.empty() && watch.mapped() != nullptr) watch.mapped()->client_gone(client_id);
}

std::uint16_t ShardRouter::index_of(const CallHandler* engine) const {
  return static_cast<std::uint16_t>(std::ranges::find(engines_, engine) - engines_.begin());
}

// --- several engines

void ShardRouter::split_by_keys(Call& call, Join how) {
  auto split = std::make_unique<Split>(*this, call, how, split_by_slot(call, positions_));
  // As an engine would: who looks at a call under way finds its keys.
  for (const auto at : positions_) call.keys.push_back(full_key(call.db, call.args[at]));
  Split& one = *split;
  splits_.emplace(&one, std::move(split));
  for (std::size_t i = 0, n = one.size(); i < n; ++i) route(one.part(i));
}

void ShardRouter::to_all(Call& call, Join how) {
  if (any_held()) return waiting_.push_back(&call);
  std::vector<Part> parts;
  for (std::size_t i = 0; i < engines_.size(); ++i) parts.push_back({copy_of(call), {}});
  auto split = std::make_unique<Split>(*this, call, how, std::move(parts));
  Split& one = *split;
  splits_.emplace(&one, std::move(split));
  ++turn_;
  for (std::size_t i = 0, n = one.size(); i < n; ++i) {
    engines_[(turn_ + i) % n]->submit(one.part(i));
  }
}

void ShardRouter::scan(Call& call) {
  if (any_held()) return waiting_.push_back(&call);
  std::uint64_t cursor = 0;
  if (!parse_scan_cursor(call.args[1], cursor)) return engines_[0]->submit(call);  // says so
  // A cursor of an engine that is no more: from the beginning of the last one.
  const auto engine = std::min<std::size_t>(cursor % kEngines, engines_.size() - 1);
  const std::string inner = std::to_string(inner_cursor(cursor));
  Args args = call.args;
  args[1] = inner;
  std::vector<Part> parts;
  parts.push_back({copy_of(call, args), {}});
  auto split = std::make_unique<Split>(*this, call, Join::none, std::move(parts));
  split->set_scan(engine, engines_.size());
  Split& one = *split;
  splits_.emplace(&one, std::move(split));
  engines_[engine]->submit(one.part(0));
}

void ShardRouter::end(Split& split, std::string reply) {
  auto ended = splits_.extract(&split);
  ended_.push_back(std::move(ended.mapped()));
  Call& whole = split.whole();
  whole.sink->on_reply(whole, reply);
}

}  // namespace stayd
