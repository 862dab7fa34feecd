#include "sim/instance.h"

#include <set>
#include <sstream>

namespace stayd::sim {

namespace {

constexpr std::int64_t kTickUs = 5 * kMs;
// Until a topology that was asked for is there.
constexpr std::int64_t kAnswerUs = 30 * kMs;
// To the shared backup, one way, at most.
constexpr std::uint64_t kBackupWayUs = 3000;

}  // namespace

Instance::Instance(Scheduler& scheduler, Random& random, Servers& servers, Diary& diary,
                   InstanceOptions options, std::string name)
    : scheduler_(scheduler),
      random_(random),
      servers_(servers),
      diary_(diary),
      options_(std::move(options)),
      name_(std::move(name)),
      network_(
          scheduler, random, [this](const Endpoint& endpoint) { return servers_.at(endpoint); },
          [this](std::function<void()> action) { deliver(std::move(action)); }),
      disk_(scheduler, random,
            [this](std::function<void()> action) { deliver(std::move(action)); }) {
  if (Names* names = servers_.names()) {
    resolver_ = std::make_unique<HostResolver>(
        *names, [this](std::function<void()> action) { deliver(std::move(action)); });
  }
  if (!servers_.cluster()) return;
  ear_ = servers_.listen([this](const Topology& topology) { on_topology(topology); });
}

void Instance::start() {
  STAYD_ASSERT(!alive());
  ++life_;
  note("stayd starts");
  engine_random_ = std::make_unique<Random>(random_.next());
  servers_.cluster() ? start_set() : start_engine();
  tick(life_);
}

void Instance::start_engine() {
  if (database_ != nullptr) start_fleet();
  Store& store = fleet_ ? static_cast<Store&>(*fleet_) : disk_;
  engine_ = std::make_unique<Engine>(options_.engine, PolicyTable(options_.policies), store,
                                     counters_, *this, *engine_random_, fleet_ ? &hlc_ : nullptr);
  if (fleet_) engine_->join(*fleet_);
  LinkOptions link;
  link.endpoint.host = "redis";
  if (servers_.sentinels() != nullptr) link.endpoint.port = 0;
  if (resolver_) make_name_dialer(), link.endpoint.host = Names::kName;
  Dialer& dialer = by_name_ ? static_cast<Dialer&>(*by_name_) : network_;
  link.max_retry_ms = 8000;
  link.rules = options_.engine.rules;
  data_ = std::make_unique<Link>(link, dialer, engine_->data_events(), counters_, *engine_random_);
  aux_ = std::make_unique<Link>(link, dialer, engine_->aux_events(), counters_, *engine_random_);
  if (options_.engine.replica_reads) {
    replica_ =
        std::make_unique<ReplicaLink>(link, network_, engine_->replica_events(), *engine_random_);
  }
  engine_->attach(*data_, *aux_, nullptr, replica_.get());
  turn([this] {
    engine_->start(now());
    if (fleet_) fleet_->start(now());
    data_->start(now());
    aux_->start(now());
    if (servers_.sentinels() != nullptr) start_sentinels();
  });
}

void Instance::start_fleet() {
  hlc_ = HlcClock();
  backup_run_us_ = 0;
  const auto way = [this] {
    return 100 + static_cast<std::int64_t>(engine_random_->below(kBackupWayUs));
  };
  backup_ = std::make_unique<MemoryBackup>(*database_,
                                           [way] { return MemoryBackup::Latency{way(), way()}; });
  backup_->cut_off = cut_from_backup_;
  FleetOptions fleet;
  fleet.origin = next_origin(disk_, *engine_random_);
  fleet_ = std::make_unique<FleetStore>(disk_, *backup_, fleet, hlc_, counters_);
}

void Instance::cut_from_backup(bool yes) {
  cut_from_backup_ = yes;
  if (backup_) backup_->cut_off = yes;
}

std::string Instance::fleet_text() const {
  if (!fleet_) return "";
  const FleetStatus status = fleet_->status();
  return ", unshipped " + std::to_string(status.unshipped) + ", reads " +
         std::to_string(status.reads) + ", agreements " + std::to_string(status.agreements) +
         ", passed " + std::to_string(status.passed);
}

// What is due is done and told; then again at the next time that something is.
void Instance::run_backup() {
  backup_->run(now());
  engine_->on_turn_end();
  const auto next_us = backup_->next_us();
  if (!next_us) return;
  const std::int64_t at_us = std::max(*next_us, scheduler_.now_us() + 1);
  if (backup_run_us_ > scheduler_.now_us() && backup_run_us_ <= at_us) return;
  backup_run_us_ = at_us;
  scheduler_.at(at_us, [this, at_us, life = life_] {
    if (life != life_ || backup_run_us_ != at_us) return;
    deliver([] {});
  });
}

void Instance::start_sentinels() {
  SentinelOptions options;
  options.sentinels = options_.sentinels;
  options.primary_name = Sentinels::kPrimaryName;
  options.link.rules = options_.engine.rules;
  SentinelEvents& self = *this;
  sentinels_ = std::make_unique<SentinelWatch>(std::move(options), network_, self, *this, counters_,
                                               *engine_random_);
  sentinels_->start(now());
}

void Instance::make_name_dialer() {
  const auto due = [this] {
    scheduler_.after(0, [this] {
      deliver([this] {
        if (by_name_) by_name_->tell_ends();
      });
    });
  };
  AddressDialer& self = *this;
  by_name_ =
      std::make_unique<NameDialer>(self, *resolver_, due, *this, counters_, options_.engine.rules);
  by_name_->set_now(now());
}

std::unique_ptr<Transport> Instance::dial_address(const Address& address,
                                                  std::int64_t connect_timeout_ms,
                                                  TransportEvents& events) {
  return network_.dial({address.host_text(), 6379, ""}, connect_timeout_ms, events);
}

// As ShardStack does.
void Instance::on_primary(const Endpoint& primary) {
  constexpr std::string_view kCause = "the Sentinels name another primary";
  engine_->set_address(primary.text());
  data_->move_to(primary, kCause);
  aux_->move_to(primary, kCause);
}

void Instance::change_region(bool known) {
  turn([this, known] {
    constexpr std::string_view kCause = "another region's Redis is used from now on";
    data_->move_to(data_->endpoint(), kCause);
    aux_->move_to(aux_->endpoint(), kCause);
    options_.engine.region = options_.engine.region == kFirstRegion ? "other" : kFirstRegion;
    engine_->change_memory(options_.engine.region);
    if (!known) engine_->restart_adoption();
  });
}

void Instance::start_set() {
  ShardSetOptions options;
  options.cluster = true;
  options.stack.engine = options_.engine;
  options.stack.link.max_retry_ms = 8000;
  options.stack.link.rules = options_.engine.rules;
  set_ = std::make_unique<ShardSet>(options, options_.policies, disk_, network_, counters_, *this,
                                    *engine_random_);
  set_->set_hint([this] {
    if (!std::exchange(asks_, true)) servers_.tell(ear_, kAnswerUs);
  });
  turn([this] { set_->start(now()); });
  servers_.tell(ear_, kAnswerUs);
}

void Instance::on_topology(const Topology& topology) {
  deliver([this, topology] {
    asks_ = false;
    if (set_) set_->on_topology(topology);
  });
}

void Instance::kill() {
  if (!alive()) return;
  note("stayd is killed");
  adopted_ = adopted();
  ++life_;
  waiting_.clear();
  paused_until_us_ = 0;
  data_.reset();
  aux_.reset();
  replica_.reset();
  sentinels_.reset();
  by_name_.reset();
  if (resolver_) resolver_->on_kill();
  engine_.reset();
  fleet_.reset();
  backup_.reset();
  set_.reset();
  asks_ = false;
  disk_.crash();
}

void Instance::pause(std::int64_t duration_us) {
  if (!alive() || paused()) return;
  note("stayd is paused for " + std::to_string(duration_us / kMs) + " ms");
  paused_from_us_ = scheduler_.now_us();
  paused_until_us_ = paused_from_us_ + duration_us;
  disturbed_us_ = paused_until_us_;
  scheduler_.at(paused_until_us_, [this, life = life_] {
    if (life != life_) return;
    note("stayd goes on");
    // The timer and the sockets are ready at once; the loop takes them in either order.
    const bool tick_first = random_.chance(50);
    if (tick_first) turn([this] { tick_all(); });
    while (!waiting_.empty() && life == life_) {
      const auto action = std::move(waiting_.front());
      waiting_.pop_front();
      turn(action);
    }
  });
}

void Instance::deliver(std::function<void()> action) {
  if (!alive()) return;
  // While events of a pause are still being worked off, later ones stand behind them.
  if (paused() || !waiting_.empty()) {
    waiting_.push_back(std::move(action));
    return;
  }
  turn(action);
}

void Instance::turn(const std::function<void()>& action) {
  set_ ? set_->set_now(now()) : engine_->set_now(now());
  if (fleet_) fleet_->set_now(now());
  action();
  set_ ? set_->on_turn_end() : engine_->on_turn_end();
  if (backup_) run_backup();
}

void Instance::tick_all() {
  if (set_) return set_->on_tick(now());
  if (sentinels_) {
    sentinels_->doubt(!data_->up());
    sentinels_->on_tick(now());
  }
  if (by_name_) by_name_->on_tick(now());
  data_->on_tick(now());
  aux_->on_tick(now());
  if (replica_) replica_->on_tick(now());
  if (fleet_) fleet_->on_tick(now());
  engine_->on_tick(now());
}

void Instance::submit(Call& call) {
  deliver([this, &call] { set_ ? set_->handler().submit(call) : engine_->submit(call); });
}

bool Instance::in_step() const {
  if (!alive() || paused()) return false;
  const EngineStatus status = this->status();
  const auto good = [](const ShardStatus& shard) {
    return shard.trust == Trust::trusted && shard.writes_closed && shard.debts == 0 &&
           shard.debts_complete;
  };
  if (!status.adoption_complete || status.to_read_back != 0 || !good(status.shard)) return false;
  return std::ranges::all_of(status.shards, [&](const auto& one) { return good(one.status); }) &&
         follows_topology() && follows_primary();
}

bool Instance::follows_primary() const {
  if (sentinels_) return data_->endpoint() == servers_.endpoint(0);
  return !by_name_ || (network_.talks_to(servers_[0]) && !talks_to_old());
}

bool Instance::talks_to_old() const {
  const RedisModel* const old = servers_.deposed(0);
  return old != nullptr && network_.talks_to(*old);
}

bool Instance::follows_topology() const {
  if (!set_) return true;
  std::set<std::string> follows, is;
  for (const NamedShard& one : set_->status().shards) {
    follows.insert(one.status.address + " " + one.slots);
  }
  for (const ClusterShard& one : servers_.topology().shards) {
    is.insert(one.primary.text() + " " + slot_ranges(one.slots));
  }
  return follows == is && !servers_.moving();
}

bool Instance::adopted() const {
  if (alive()) return status().adoption_complete;
  return servers_.cluster() ? adopted_ : disk_.fact("adoption") == "done";
}

bool Instance::settled() const {
  if (!servers_.cluster()) return true;
  if (alive()) return status().adoption_settled;
  std::istringstream lines(disk_.fact("cluster_shards"));
  bool any = false, all = true;
  for (std::string line; std::getline(lines, line);) {
    const std::string id = line.substr(0, line.find(' '));
    if (id == "next") continue;
    any = true;
    all = all && disk_.fact("shard" + id + ".adoption") == "done";
  }
  return any && all;
}

Trust Instance::trust(std::size_t shard) const {
  if (!set_) return engine_->status().shard.trust;
  const SlotSet& slots = servers_.slots(shard);
  std::size_t lowest = 0;
  while (lowest + 1 < slots.size() && !slots[lowest]) ++lowest;
  return set_->engine_of(static_cast<Slot>(lowest)).status().shard.trust;
}

std::size_t Instance::calls_under_way() const {
  return set_ ? set_->calls_under_way() : engine_->status().calls_under_way;
}

void Instance::tick(std::uint64_t life) {
  scheduler_.after(kTickUs, [this, life] {
    if (life != life_) return;
    if (!paused()) turn([this] { tick_all(); });
    tick(life);
  });
}

void Instance::on_event(const Event& event) {
  note(event.text);
  if (on_event_) on_event_(event);
}

}  // namespace stayd::sim
