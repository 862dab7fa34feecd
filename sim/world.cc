#include "sim/world.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "core/side_keys.h"

namespace stayd::sim {

namespace {

constexpr std::int64_t kHealLimitUs = 15 * kSecond;  // I14: TRUSTED and paid within this
constexpr std::int64_t kNoticeUs = kSecond;          // what is wrong is found within this (W4)
constexpr std::int64_t kQuietUs = 2 * kSecond;
constexpr std::int64_t kMeetUs = 3 * kSecond;  // several stayds have seen each other by then

}  // namespace

World::World(WorldOptions o)
    : given(std::move(o)),
      options(draw(given)),
      random(options.seed),
      servers(scheduler, random, stream(options.seed, "servers"), options.shards, options.found_by),
      redis(servers[0]),
      instances(make_instances()),
      instance(*instances.front()),
      users(scheduler, stream(options.seed, "users"), instances, options.users),
      faults_(*this) {
  users.redis_lacks = [this](const FullKey& key) { return servers.lack(key); };
  users.redis_evicted = [this](const FullKey& key) { return servers.ever_took(key); };
  users.slot_elsewhere = [this](const FullKey& key, const std::string& address) {
    return servers.elsewhere(key, address);
  };
  users.redis_is_split = [this] { return servers.two_primaries(); };
  set_up_servers();
  if (options.watched) {
    witness_.emplace(servers, instances, *options.watched);
    diary.on_note = [this](const std::string& text) { note_watched("   " + text); };
  }
  for (const auto& one : instances) one->start();
  if (servers.sentinels() != nullptr || servers.names() != nullptr) check_followed();
}

void World::set_up_servers() {
  for (std::size_t i = 0; i < servers.size(); ++i) {
    servers[i].clock_offset_ms = options.redis_ahead_ms;
    if (instances.size() == 1 || options.fleet) continue;
    servers[i].on_evicted = [this, i](const FullKey& key) {
      if (servers[i].owns(key)) on_evicted(key);
    };
  }
  if (instances.size() > 1 && !options.fleet) {
    servers.standby().on_evicted = [this](const FullKey& key) { on_evicted(key); };
  }
  if (options.fill_redis) fill_redis();
  if (options.backfill_held_us == 0) return;
  for (std::size_t i = 0; i < servers.size(); ++i) servers[i].flags.no_scan = true;
  scheduler.after(options.backfill_held_us, [this] {
    for (std::size_t i = 0; i < servers.size(); ++i) servers[i].flags.no_scan = false;
  });
}

Instances World::make_instances() {
  Instances made;
  for (int i = 1; i <= *options.instances; ++i) {
    const std::string name = *options.instances == 1 ? "" : std::to_string(i) + ": ";
    made.push_back(
        std::make_unique<Instance>(scheduler, random, servers, diary, options.instance, name));
    if (options.fleet) made.back()->join(backup);
  }
  for (const auto& one : made) {
    one->watch([this, one = one.get()](const Event& event) { on_event(*one, event); });
    one->network().on_stray = [this](std::string_view bytes) { on_stray(bytes); };
  }
  return made;
}

void World::fill_redis() {
  const auto count = random.below(kOldKeys);
  for (std::uint64_t i = 0; i < count; ++i) {
    KeyState state;
    state.record.value = "old:v" + std::to_string(i);
    if (random.chance(80)) {
      state.expires_from_ms = state.expires_to_ms = scheduler.wall_ms() + 3600'000;
      state.record.expires_at_ms = state.expires_to_ms + options.redis_ahead_ms;
    }
    const FullKey key = full_key(0, "old:" + std::to_string(i));
    servers.of(key).put(key, state.record);
    state.record.expires_at_ms = 0;
    users.history(key).start_with(state);
  }
}

bool World::run() {
  if (options.fleet) settle();
  users.start();
  if (instances.size() > 1) pass(kMeetUs);
  if (options.faults) faults_.start();
  scheduler.run_until(static_cast<std::int64_t>(options.minutes * 60) * kSecond,
                      [this] { return stop(); });
  faults_.heal();
  if (heal_and_check()) check_deletion_by_stranger();
  return !users.failed();
}

void World::note_watched(std::string text) {
  if (!users.histories().contains(witness_->key())) return;
  users.history(witness_->key()).note(std::move(text), scheduler.wall_ms());
}

bool World::stop() {
  if (witness_) {
    for (std::string& line : witness_->changes()) note_watched(std::move(line));
  }
  return users.failed();
}

void World::pass(std::int64_t duration_us) {
  scheduler.run_until(scheduler.now_us() + duration_us, [this] { return stop(); });
}

void World::kill_stayd(Instance& one) {
  if (!one.alive()) return;
  one.kill();
  users.on_kill(one);
  users.loosen_roaming("W16: killed");
}

bool World::equal_in_redis(const FullKey& key) const {
  const auto& rows = users.home(key).disk().rows();
  const auto& data = servers.of(key).data();
  const auto held = data.find(key);
  const auto known = rows.find(key);
  const bool in_redis = held != data.end();
  const bool in_ledger = known != rows.end() && known->second.meta.state == RowState::live;
  if (!in_redis || !in_ledger) return in_redis == in_ledger;
  const auto held_until_ms = expiry_in_redis(key, held->second);
  const auto known_until_ms = expiry_in_ledger(key, known->second.record);
  // Without what jumps of the clocks excuse: the copy has strayed that far already.
  const bool same_expiry = (held_until_ms == 0) == (known_until_ms == 0) &&
                           std::abs(held_until_ms - known_until_ms) <= kExpirySlackMs;
  return !known->second.meta.stale && same_expiry &&
         held->second.value == known->second.record.value;
}

// W15: to one of several stayds, what was evicted may have been logged out through another.
void World::on_evicted(const FullKey& key) {
  if (is_side_key(key_of(key)) || !users.histories().contains(key)) return;
  users.in_doubt(key, {.commands = {{"DEL", std::string(key_of(key))}}});
}

// W17: behind a proxy that has moved on nobody can end a late connection: the id that stayd knows
// is another process's. What it brings takes effect whenever it arrives.
void World::on_stray(std::string_view bytes) {
  RequestParser parser;
  Args args;
  while (!bytes.empty()) {
    const auto outcome = parser.parse(bytes, RequestLimits{}, args);
    if (outcome.status != RequestParser::Status::ready) return;
    bytes.remove_prefix(outcome.consumed);
    for (const std::string_view arg : args) {
      for (int db = 0; db < kDatabases; ++db) {
        const FullKey key = full_key(db, arg);
        if (!users.histories().contains(key)) continue;
        users.loosen(key, "W17: a late connection behind a proxy");
        users.not_compared.insert(key);
      }
    }
  }
}

void World::restart_stayd(std::int64_t after_us) {
  scheduler.after(after_us, [this] {
    if (!instance.alive()) instance.start();
  });
}

bool World::in_step() const {
  return std::ranges::all_of(instances, [](const auto& one) { return one->in_step(); });
}

std::string World::out_of_step() const {
  for (const auto& one : instances) {
    if (one->in_step()) continue;
    const EngineStatus status = one->alive() ? one->status() : EngineStatus{};
    std::string out = one->name() + status.shard.reason + ", debts " +
                      std::to_string(status.shard.debts) + ", to read back " +
                      std::to_string(status.to_read_back) + ", adopted " +
                      std::to_string(status.adoption_complete) + one->fleet_text();
    for (const NamedShard& shard : status.shards) {
      out += "; " + shard.slots + " at " + shard.status.address + ": " + shard.status.reason +
             ", debts " + std::to_string(shard.status.debts);
    }
    return servers.cluster() ? out + "; is: " + servers.topology().text() : out;
  }
  return "";
}

bool World::wait_in_step(std::int64_t limit_us) {
  const std::int64_t limit = scheduler.now_us() + limit_us;
  scheduler.run_until(limit, [this] { return stop() || in_step(); });
  return in_step();
}

void World::settle() {
  if (!wait_in_step(10 * kHealLimitUs)) users.fail({}, "not in step: " + out_of_step());
}

bool World::heal_and_check() {
  pass(kNoticeUs);
  if (users.failed()) return false;
  // What several stayds of a fleet write many times a second, and owe, stays owed meanwhile.
  if (options.fleet && instances.size() > 1) users.stop();
  if (!wait_in_step(kHealLimitUs)) {
    users.fail({}, "15 s after the last fault: not TRUSTED, or debts left: " + out_of_step());
    return false;
  }
  pass(kQuietUs);
  users.stop();
  pass(kQuietUs);
  if (users.failed()) return false;
  std::uint64_t calls = 0;
  for (const auto& one : instances) calls += one->alive() ? one->calls_under_way() : 0;
  if (users.under_way() != 0 || calls != 0) {
    users.fail(options.watched.value_or(FullKey()), std::to_string(users.under_way()) +
                                                        " calls were never answered" +
                                                        instances[0]->fleet_text());
    return false;
  }
  if (!in_step()) users.fail({}, "out of step again without a fault: " + out_of_step());
  compare();
  if (options.fleet && !users.failed()) compare_backup();
  return !users.failed();
}

void World::compare() {
  std::set<FullKey> keys = servers.keys();
  for (const auto& one : instances) {
    for (const auto& [key, row] : one->disk().rows()) keys.insert(key);
  }
  for (const auto& [key, history] : users.histories()) keys.insert(key);
  for (const FullKey& key : keys) {
    if (is_side_key(key_of(key)) || users.not_compared.contains(key)) continue;
    compare_key(key);
    if (users.failed()) return;
  }
}

// A session that roams is nobody's but Redis'.
void World::compare_roaming(const FullKey& key) {
  const auto wall_ms = scheduler.wall_ms();
  const auto& data = servers.of(key).data();
  const auto held = data.find(key);
  const bool in_redis = held != data.end() && !held->second.expired(wall_ms);
  KeyHistory& history = users.history(key);
  auto record = in_redis ? std::optional(held->second) : std::nullopt;
  if (record) record->expires_at_ms = expiry_in_redis(key, *record);
  if (!history.may_be(record, wall_ms, "Redis")) users.fail(key, history.why());
}

// In a fleet an expiry that was only raised may be known to the stayd alone that has done it.
std::int64_t World::latest_expiry(const FullKey& key, const Row& row) const {
  std::int64_t latest_ms = row.meta.expires_at_ms;
  if (!options.fleet) return latest_ms;
  for (const auto& one : instances) {
    const auto theirs = one->disk().rows().find(key);
    if (theirs == one->disk().rows().end() || theirs->second.meta.state != RowState::live) continue;
    latest_ms = later_expiry(latest_ms, theirs->second.meta.expires_at_ms);
  }
  return latest_ms;
}

// A stayd answers for the sessions whose commands come to it: there its ledger and Redis agree.
// What it has merely taken over from Redis may be older.
void World::compare_key(const FullKey& key) {
  if (users.roams(key)) return compare_roaming(key);
  const auto wall_ms = scheduler.wall_ms();
  const auto& rows = users.home(key).disk().rows();
  const RedisModel& server = servers.of(key);
  const auto held = server.data().find(key);
  const auto known = rows.find(key);
  const bool in_redis =
      held != server.data().end() && !held->second.expired(wall_ms + server.clock_offset_ms);
  const Row row = known == rows.end() ? Row{} : known->second;
  const bool in_ledger = row.meta.live_at(wall_ms + users.home(key).disk().clock_offset_ms);
  if (row.meta.stale) return users.fail(key, "the ledger's row is still stale");
  const auto about_to_expire = [&](std::int64_t expires_at_ms) {
    return expires_at_ms != 0 && expires_at_ms < wall_ms + expiry_slack_ms();
  };
  if (in_redis && !in_ledger) {
    if (about_to_expire(expiry_in_redis(key, held->second))) return;
    // W14: no ledger has ever had it, and an old snapshot brings back what Redis had lost.
    if (known == rows.end() && users.history(key).loose()) return;
    return users.fail(key, "Redis holds a key that the ledger does not");
  }
  if (in_ledger && !in_redis) {
    if (about_to_expire(expiry_in_ledger(key, row.record))) return;
    // Lost without notice, or never ours: put back when it is read.
    if (servers.ever_took(key) || row.meta.adopted) {
      const bool hash = row.meta.type == ValueType::hash;
      users.ask(key, {.commands = {{hash ? "HGETALL" : "GET", std::string(key_of(key))}}});
      return pass(300 * kMs);
    }
    return users.fail(key, "the ledger holds a key that Redis does not");
  }
  if (in_redis) {
    if (held->second.value != row.record.value) {
      return users.fail(key, "Redis and the ledger hold different values");
    }
    Record known_here = row.record;
    known_here.expires_at_ms = latest_expiry(key, row);
    const auto difference = expiry_in_redis(key, held->second) - expiry_in_ledger(key, known_here);
    const bool one_never = (held->second.expires_at_ms == 0) != (known_here.expires_at_ms == 0);
    if (one_never || std::abs(difference) > expiry_slack_ms()) {
      return users.fail(
          key, "Redis and the ledger differ in expiry by " + std::to_string(difference) + " ms");
    }
  }
  const auto history = users.histories().find(key);
  if (history == users.histories().end()) {
    return users.fail(key, "a key that nobody wrote");
  }
  auto record = in_ledger ? std::optional(row.record) : std::nullopt;
  // In a fleet Redis has the touches that a ledger has not been told of yet.
  if (record && in_redis && options.fleet) {
    record->expires_at_ms = expiry_in_redis(key, held->second);
  }
  if (!history->second.may_be(record, wall_ms, "the ledger")) {
    users.fail(key, history->second.why());
  }
}

std::string World::report(const FullKey& key) const {
  std::string out = "seed " + std::to_string(options.seed) + ": " + users.violation() + "\n";
  out += "drawn: " + describe(options);
  if (!key.empty()) {
    out += "key " + std::string(key_of(key)) + " in database " + std::to_string(db_of(key));
    if (instances.size() > 1) {
      out += users.roams(key) ? ", of any stayd" : ", of stayd " + users.home(key).name();
    }
    out += "\n";
    const auto it = users.histories().find(key);
    if (it != users.histories().end()) out += it->second.text();
  }
  out += "state changes:\n";
  for (const std::string& line : diary.lines()) out += "  " + line + "\n";
  return out;
}

}  // namespace stayd::sim
