#include "sim/model/world.h"

#include "base/error.h"
#include "core/side_keys.h"
#include "sim/model/arena.h"
#include "sim/request.h"

namespace stayd::sim::model {

namespace {

constexpr std::int64_t kTickUs = 5 * kMs;
constexpr int kMaxTicks = 1000;  // 5 s: nothing that stayd does is further away
constexpr std::int64_t kHealUs = 15 * kSecond;
constexpr int kMaxProgram = 32;  // commands of one tab
constexpr int kCalmWaits = 2;
constexpr int kSettleSteps = 2000;
constexpr std::int64_t kTtlToleranceMs = 600;

// Counting has no influence: not part of any world.
Counters counters;

}  // namespace

World::Instance::Instance(World& world, int number)
    : ledger([&world] { return world.clock_.wall_ms(); }), wires(number) {}

World::World(const Story& story, const EngineOptions& options, int max_faults)
    : story_(&story), options_(&options), clients_(story.tabs.size()) {
  for (auto& node : nodes_) node = std::make_unique<RedisModel>(clock_, random_);
  KeyState initial;
  if (story.initial.exists()) {
    redis().put(full_key(0, kKey), story.initial);
    initial.record.value = story.initial.value;
  }
  states_ = KeyStates(std::move(initial));
  for (int i = 0; i < story.instances; ++i) {
    instances_.push_back(std::make_unique<Instance>(*this, i));
    start(i);
  }
  settle();
  faults_left_ = max_faults;
  waits_left_ = story.max_waits;
  for (auto& node : nodes_) node->forget_history();
}

World::~World() = default;

void World::start(int number) {
  Instance& one = *instances_[static_cast<std::size_t>(number)];
  EventSink& events = *this;
  one.engine =
      std::make_unique<Engine>(*options_, PolicyTable(), one.ledger, counters, events, one.random);
  LinkOptions link;
  link.endpoint.host = "redis";
  link.max_retry_ms = 2000;
  link.rules = options_->rules;
  one.data =
      std::make_unique<Link>(link, one.wires, one.engine->data_events(), counters, one.random);
  one.engine->attach(*one.data, one.aux);
  turn(number, [&] {
    one.engine->start(clock_.now());
    one.data->start(clock_.now());
  });
}

// What happens in one go inside one stayd.
void World::turn(int number, const std::function<void()>& action) {
  Instance& one = *instances_[static_cast<std::size_t>(number)];
  // What is drawn depends on the time, not on how often something has been drawn before.
  one.random = Random(static_cast<std::uint64_t>(clock_.now_us() + number));
  one.engine->set_now(clock_.now());
  action();
  one.engine->on_turn_end();
  one.wires.flush();
  one.wires.sweep(nodes_, primary_);
  end_split();
  for (Client& client : clients_) {
    if (client.asking != nullptr && client.asking->answered) client.asking.reset();
  }
  one.random = Random(0);
  // Only a kill can tell what has been written from what is about to be.
  while (!kill_may_strike() && one.ledger.may_write()) one.ledger.write();
}

void World::settle() {
  std::vector<Step> steps;
  for (int i = 0; i < kSettleSteps; ++i) {
    steps.clear();
    delivery_steps(steps);
    if (!steps.empty()) {
      take(steps.front());
    } else if (!in_step()) {
      wait();
    } else {
      return;
    }
  }
  STAYD_ASSERT(false);
}

// --- the tabs -------------------------------------------------------------------------------

void World::ask(int tab) {
  Client& client = clients_[static_cast<std::size_t>(tab)];
  const Tab& told = story_->tabs[static_cast<std::size_t>(tab)];
  const Operation& operation = told.program[client.next];
  client.asking = std::make_unique<Asking>();
  Asking& asking = *client.asking;
  asking.id = tab * kMaxProgram + static_cast<int>(client.next++);
  asking.writes = operation.writes();
  Call& call = asking.call;
  if (operation.block) {
    fill(call, {"EXEC"});
    for (const Words& words : operation.commands) {
      auto sub = std::make_unique<Call>();
      fill(*sub, words);
      sub->client_id = static_cast<std::uint64_t>(tab);
      sub->sink = this;
      call.block.push_back(std::move(sub));
    }
  } else {
    fill(call, operation.commands[0]);
  }
  call.client_id = static_cast<std::uint64_t>(tab);
  call.sink = this;
  states_.ask(asking.id, operation, clock_.wall_ms());
  turn(told.instance,
       [&] { instances_[static_cast<std::size_t>(told.instance)]->engine->submit(call); });
}

void World::on_reply(Call& call, std::string_view reply) {
  for (std::size_t tab = 0; tab < clients_.size(); ++tab) {
    Asking* const asking = clients_[tab].asking.get();
    if (asking == nullptr || &asking->call != &call) continue;
    if (events_ != nullptr) tell("tab " + std::to_string(tab + 1) + " is told " + normalise(reply));
    asking->answered = true;
    if (remembers_) told_[asking->id] = normalise(reply);
    if (reply[0] == '-') {
      return fail("tab " + std::to_string(tab + 1) + " is told an error: " + normalise(reply));
    }
    std::string why;
    if (!states_.answer(asking->id, reply, clock_.wall_ms(), why)) {
      fail("tab " + std::to_string(tab + 1) + " was " + why);
    }
    return;
  }
  fail("a command was answered twice");
}

// --- time -----------------------------------------------------------------------------------

// One tick of every stayd. True: there is something to take now.
bool World::tick() {
  clock_.run_until(clock_.now_us() + kTickUs, [] { return false; });
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    Instance& one = *instances_[i];
    turn(static_cast<int>(i), [&] {
      one.data->on_tick(clock_.now());
      one.engine->on_tick(clock_.now());
    });
  }
  std::vector<Step> steps;
  delivery_steps(steps);
  return !steps.empty() || !violation_.empty();
}

void World::wait() {
  if (unnoticed_ > 0 && in_step()) --unnoticed_;
  for (int i = 0; i < kMaxTicks; ++i) {
    if (tick()) return;
  }
}

// --- the end --------------------------------------------------------------------------------

bool World::in_step() const {
  for (const auto& one : instances_) {
    const EngineStatus status = one->engine->status();
    if (status.shard.trust != Trust::trusted || status.shard.debts != 0 ||
        !status.shard.debts_complete || !status.adoption_complete || status.calls_under_way != 0) {
      return false;
    }
  }
  return true;
}

void World::heal() {
  if (!healing_) {
    healing_ = true;
    heal_until_us_ = clock_.now_us() + kHealUs;
    faults_left_ = 0;
    forget_past();
  }
  std::vector<Step> steps;
  delivery_steps(steps);
  if (!steps.empty()) return take(steps.front());
  calm_ = in_step() ? calm_ + 1 : 0;
  if (calm_ > kCalmWaits) {
    healed_ = true;
    return compare();
  }
  if (clock_.now_us() > heal_until_us_) {
    return fail("15 s after the last fault: not TRUSTED, or debts or calls left");
  }
  wait();
}

void World::compare() {
  for (const auto& [key, record] : redis().data()) {
    if (!is_side_key(key_of(key)) && key_of(key) != kKey) fail("a key that nobody wrote");
  }
  for (const Tab& tab : story_->tabs) {
    compare(instances_[static_cast<std::size_t>(tab.instance)]->ledger);
  }
}

void World::compare(const Ledger& ledger) {
  const FullKey key = full_key(0, kKey);
  const auto held = redis().data().find(key);
  const auto known = ledger.rows().find(key);
  const Record in_redis = held == redis().data().end() ? Record{} : held->second;
  const Row row = known == ledger.rows().end() ? Row{} : known->second;
  const bool live = row.meta.live_at(clock_.wall_ms());
  const Record in_ledger = live ? row.record : Record{};
  std::string why;
  if (row.meta.stale) return fail("at the end the ledger's row is stale");
  if (story_->weak) return;
  if (!states_.may_be(in_ledger, clock_.wall_ms(), why)) {
    return fail("at the end the ledger holds what cannot be: " + why);
  }
  if (evicted_ && !in_redis.exists()) return;  // lost without notice: put back when it is read
  const auto difference = in_redis.expires_at_ms - in_ledger.expires_at_ms;
  if (in_redis.value != in_ledger.value || std::abs(difference) > kTtlToleranceMs) {
    fail(std::string("at the end Redis and the ledger differ: ") +
         (in_redis.exists() ? "Redis holds a value" : "Redis holds none"));
  }
}

// A past that no fault can bring back is no part of the world, nor when things happened in it.
void World::forget_past() {
  bool restart = false;
  for (const Fault fault : story_->faults) {
    restart = restart || fault == Fault::restart || fault == Fault::split;
  }
  const bool comes_back = restart && faults_left_ > 0;
  for (int i = 0; i < 2; ++i) {
    nodes_[i]->forget_times();
    // Only of the primary's past a replica may have seen a part.
    if (!comes_back || i != primary_) nodes_[i]->forget_history();
  }
}

// --- telling --------------------------------------------------------------------------------

std::string World::told() const {
  std::string out;
  for (const auto& [id, reply] : told_) {
    out += std::to_string(id / kMaxProgram + 1) + ":" + std::to_string(id % kMaxProgram + 1) + "=" +
           reply + " ";
  }
  return out;
}

void World::fail(const std::string& what) {
  if (violation_.empty()) violation_ = what;
}

void World::tell(std::string_view text) {
  const arena::Outside outside;
  if (!events_->empty()) *events_ += "; ";
  *events_ += text;
}

void World::on_event(const Event& event) {
  if (events_ != nullptr) tell("stayd: " + event.text);
}

}  // namespace stayd::sim::model
