// World: what may happen next, and doing it.
#include <cstring>

#include "core/side_keys.h"
#include "sim/model/world.h"

namespace stayd::sim::model {

namespace {

constexpr std::int64_t kPauseUs = 4 * kSecond;  // longer than any heartbeat may be old
constexpr std::int64_t kDelayUs = 400 * kMs;    // longer than any command may take
// A connection is condemned, the next one does not pass its gate: what follows is the same again.
constexpr int kMaxFrozenWaits = 3;
constexpr int kNoticedWithin = 2;  // heartbeats after something was done behind stayd's back

// A struct that is built on the stack and moved into a world takes its padding along, and with it
// whatever stood there before: equal worlds would look different.
[[gnu::noinline]] void clear_stack() {
  char below[32'768];
  std::memset(below, 0, sizeof below);
  asm volatile("" : : "r"(below) : "memory");  // somebody could be looking
}

}  // namespace

// --- what may happen ------------------------------------------------------------------------

bool World::kill_may_strike() const {
  if (faults_left_ == 0) return false;
  for (const Fault fault : story_->faults) {
    if (fault == Fault::kill) return true;
  }
  return false;
}

// A frozen Redis takes nothing; its kernel accepts connections.
bool World::may_take(const Wire& wire) const {
  return !wire.to_redis.empty() &&
         (!frozen_ || wire.to_redis.front().what == Piece::What::open || wire.node != primary_);
}

void World::delivery_steps(std::vector<Step>& out) const {
  for (std::uint8_t i = 0; i < instances_.size(); ++i) {
    const auto& wires = instances_[i]->wires.all();
    for (std::uint16_t n = 0; n < wires.size(); ++n) {
      if (may_take(*wires[n])) out.push_back({Kind::redis_takes, {}, i, n});
      if (!wires[n]->to_stayd.empty() && wires[n]->client != nullptr) {
        out.push_back({Kind::stayd_takes, {}, i, n});
      }
    }
    const Ledger& ledger = instances_[i]->ledger;
    if (ledger.may_write()) out.push_back({Kind::write, {}, i, 0});
    if (ledger.may_report()) out.push_back({Kind::report, {}, i, 0});
    if (ledger.may_sync()) out.push_back({Kind::sync, {}, i, 0});
  }
}

bool World::asked_everything() const {
  for (std::size_t tab = 0; tab < clients_.size(); ++tab) {
    if (clients_[tab].asking != nullptr) return false;
    if (clients_[tab].next < story_->tabs[tab].program.size()) return false;
  }
  return true;
}

// True when there is one connection in all, so that what Redis takes from it next commutes with
// everything stayd and the tabs may do.
bool World::one_connection() const {
  std::size_t count = 0;
  for (const auto& one : instances_) count += one->wires.all().size();
  return count == 1;
}

// Time matters only while something is not as it was left: a stayd in step sends heartbeats.
bool World::may_wait() const {
  if (waits_left_ == 0) return false;
  return frozen_ ? frozen_waits_ < kMaxFrozenWaits : unnoticed_ > 0 || !in_step();
}

void World::steps(std::vector<Step>& out) {
  out.clear();
  if (!violation_.empty() || healed_) return;
  if (healing_) {
    out.push_back({Kind::heal, {}, 0, 0});
    return;
  }
  delivery_steps(out);
  const bool quiet = out.empty();
  if (!quiet && faults_left_ == 0 && !frozen_ && !split_ && one_connection() &&
      out.front().kind == Kind::redis_takes) {
    out.resize(1);
    return;
  }
  for (std::uint8_t tab = 0; tab < clients_.size(); ++tab) {
    const Client& client = clients_[tab];
    if (client.asking == nullptr && client.next < story_->tabs[tab].program.size()) {
      out.push_back({Kind::ask, {}, tab, 0});
    }
  }
  const bool waits = quiet && may_wait();
  if (waits) out.push_back({Kind::wait, {}, 0, 0});
  if (frozen_) out.push_back({Kind::thaw, {}, 0, 0});
  if (split_) out.push_back({Kind::demote, {}, 0, 0});
  if (quiet && !waits && !frozen_ && !split_ && asked_everything()) {
    out.push_back({Kind::heal, {}, 0, 0});
  }
  if (faults_left_ > 0) fault_steps(out);
}

// What is done to Redis alone commutes with all that is done inside stayd: it need be tried only
// before Redis takes something, where its end may be noticed, or when nothing is on its way.
bool World::redis_may_be_struck(const std::vector<Step>& possible, Fault fault) const {
  const bool ends_connections = fault == Fault::restart || fault == Fault::empty;
  bool quiet = true;
  for (const Step& step : possible) {
    if (step.kind == Kind::redis_takes) return true;
    const bool inside = step.kind == Kind::stayd_takes || step.kind == Kind::write ||
                        step.kind == Kind::report || step.kind == Kind::sync;
    quiet = quiet && !inside;
  }
  if (quiet || !ends_connections) return quiet;
  for (const auto& one : instances_) {
    for (const WirePtr& wire : one->wires.all()) {
      if (wire->client != nullptr && wire->to_stayd.empty()) return true;
    }
  }
  return false;
}

// A prefix of Redis' history for each length; without a change of the list of instances its
// neighbour does as well when there is only one.
void World::prefixes(Fault fault, std::vector<Step>& out) const {
  const auto changes = static_cast<std::uint16_t>(redis().journal_size());
  for (std::uint16_t n = 0; n <= changes; ++n) {
    if (n > 0 && instances_.size() == 1 && key_of(redis().changed(n - 1)) == instances_key({})) {
      continue;
    }
    out.push_back({Kind::fault, fault, 0, n});
  }
}

void World::fault_steps(std::vector<Step>& out) const {
  const auto instances = static_cast<std::uint8_t>(instances_.size());
  const std::vector<Step> possible = out;
  for (const Fault fault : story_->faults) {
    switch (fault) {
      case Fault::lose:
      case Fault::lose_late:
        for (std::uint8_t i = 0; i < instances; ++i) {
          if (live_wire(i) != nullptr) out.push_back({Kind::fault, fault, i, 0});
        }
        break;
      case Fault::kill:
        for (std::uint8_t i = 0; i < instances; ++i) out.push_back({Kind::fault, fault, i, 0});
        break;
      case Fault::split:
        if (split_ || frozen_) break;
        [[fallthrough]];
      case Fault::restart:
        if (redis_may_be_struck(possible, fault)) prefixes(fault, out);
        break;
      case Fault::freeze:
        if (frozen_) break;
        [[fallthrough]];
      case Fault::empty:
      case Fault::flush:
      case Fault::evict:
        if (redis_may_be_struck(possible, fault)) out.push_back({Kind::fault, fault, 0, 0});
        break;
      case Fault::pause:
      case Fault::delay:
        out.push_back({Kind::fault, fault, 0, 0});
    }
  }
}

WirePtr World::live_wire(int instance) const {
  for (const WirePtr& wire : instances_[static_cast<std::size_t>(instance)]->wires.all()) {
    if (wire->client != nullptr && wire->node >= 0) return wire;
  }
  return nullptr;
}

const WirePtr& World::wire(const Step& step) const {
  return instances_[step.who]->wires.all()[step.n];
}

// --- doing it -------------------------------------------------------------------------------

void World::take(const Step& step) {
  clear_stack();
  switch (step.kind) {
    case Kind::ask:
      return ask(step.who);
    case Kind::redis_takes:
      return redis_takes(wire(step));
    case Kind::stayd_takes: {
      const WirePtr taking = wire(step);
      return turn(step.who, [&] { Wires::stayd_takes(taking); });
    }
    case Kind::write:
      return instances_[step.who]->ledger.write();
    case Kind::report:
      return turn(step.who, [&] { instances_[step.who]->ledger.report(); });
    case Kind::sync:
      return instances_[step.who]->ledger.sync();
    case Kind::wait:
      --waits_left_;
      frozen_waits_ += frozen_;
      return wait();
    case Kind::fault:
      return strike(step);
    case Kind::thaw:
      thaw();
      return;
    case Kind::demote:
      return demote();
    case Kind::heal:
      return heal();
  }
}

void World::redis_takes(const WirePtr& wire) {
  const int node = wire->node >= 0 ? wire->node : primary_;
  Wires::redis_takes(wire, *nodes_[node], node);
  instances_[static_cast<std::size_t>(wire->instance)]->wires.sweep(nodes_, primary_);
  end_split();
  forget_past();
}

void World::strike(const Step& step) {
  --faults_left_;
  unnoticed_ = kNoticedWithin;
  switch (step.fault) {
    case Fault::lose:
      lose(step.who, false);
      break;
    case Fault::lose_late:
      lose(step.who, true);
      break;
    case Fault::restart:
    case Fault::empty:
      redis().kill();
      thaw();
      if (step.fault == Fault::empty) {
        redis().start_empty();
      } else {
        redis().start(step.n);
      }
      break;
    case Fault::split:
      split(step.n);
      break;
    case Fault::flush:
      redis().flush_all();
      break;
    case Fault::evict:
      evicted_ = true;
      redis().evict_one(full_key(0, kKey));
      break;
    case Fault::freeze:
      frozen_ = true;
      frozen_waits_ = 0;
      break;
    case Fault::kill:
      kill(step.who);
      break;
    case Fault::pause:
      clock_.run_until(clock_.now_us() + kPauseUs, [] { return false; });
      break;
    case Fault::delay: {
      const WirePtr before = live_wire(0);
      const std::int64_t end_us = clock_.now_us() + kDelayUs;
      while (clock_.now_us() < end_us && live_wire(0) == before) tick();
      break;
    }
  }
  forget_past();
}

// How long it was is nobody's business any more.
void World::thaw() {
  frozen_ = false;
  frozen_waits_ = 0;
}

void World::lose(int instance, bool arrives) {
  const WirePtr wire = live_wire(instance);
  turn(instance, [&] { Wires::lose(wire, nodes_[wire->node].get(), arrives); });
}

void World::split(std::size_t lost) {
  const int old = primary_;
  primary_ = 1 - primary_;
  nodes_[primary_]->start_as_replica_of(*nodes_[old], lost);
  split_ = true;
}

// An old primary that nobody is connected to any more can do nothing: its end need not be tried
// at every moment that follows.
void World::end_split() {
  if (!split_) return;
  for (const auto& one : instances_) {
    if (one->wires.lead_to(1 - primary_)) return;
  }
  demote();
}

// The old primary learns that it is none any more.
void World::demote() {
  split_ = false;
  nodes_[1 - primary_]->kill();
  nodes_[1 - primary_]->start_empty();
  unnoticed_ = kNoticedWithin;
}

void World::kill(int number) {
  Instance& one = *instances_[static_cast<std::size_t>(number)];
  one.data.reset();
  one.engine.reset();
  one.ledger.crash();
  for (std::size_t tab = 0; tab < clients_.size(); ++tab) {
    if (clients_[tab].asking == nullptr || story_->tabs[tab].instance != number) continue;
    states_.in_doubt(clients_[tab].asking->id, clock_.wall_ms());
    clients_[tab].asking.reset();
  }
  start(number);
}

}  // namespace stayd::sim::model
