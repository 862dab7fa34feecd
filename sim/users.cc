#include "sim/users.h"

#include <utility>

#include "base/error.h"
#include "sim/request.h"

namespace stayd::sim {

namespace {

constexpr const char* kCompareAndDelete =
    "if redis.call(\"get\",KEYS[1]) == ARGV[1] then return redis.call(\"del\",KEYS[1]) else "
    "return 0 end";
constexpr const char* kAppend = "return redis.call('append',KEYS[1],ARGV[1])";
constexpr std::int64_t kTtlSeconds = 3600;
constexpr std::int64_t kTombRetryUs = 2 * kSecond;  // tombstones are tried again each second

Operation one(Words words) {
  return {.commands = {std::move(words)}};
}

}  // namespace

std::vector<SessionPolicy> policies_of_users() {
  return {{.match = "fenced:*", .fence = Fence::forever}, {.match = "*"}};
}

Users::Users(Scheduler& scheduler, Random random, Instance& instance, UsersOptions options)
    : scheduler_(scheduler), random_(random), instance_(instance), options_(options) {}

Users::~Users() = default;

void Users::start() {
  for (int i = 0; i < *options_.sessions; ++i) open_session();
}

void Users::fail(const FullKey& key, const std::string& what) {
  if (failed()) return;
  violation_ = what;
  violated_key_ = key;
}

// --- one command ----------------------------------------------------------------------------

int Users::ask(const FullKey& key, Operation operation, int client) {
  return ask_then(key, std::move(operation), client, [](const std::string&) {});
}

int Users::ask_then(const FullKey& key, Operation operation, int client,
                    std::function<void(const std::string&)> then) {
  auto mine = std::make_unique<UnderWay>();
  mine->key = key;
  mine->client = client;
  mine->writes = operation.writes();
  mine->asked_us = scheduler_.now_us();
  mine->lacked = redis_lacks(key);
  mine->then = std::move(then);
  Call& call = mine->call;
  if (operation.block) {
    fill(call, {"EXEC"});
    for (const Words& words : operation.commands) {
      auto sub = std::make_unique<Call>();
      fill(*sub, words);
      sub->db = static_cast<std::uint8_t>(db_of(key));
      sub->client_id = static_cast<std::uint64_t>(client);
      sub->sink = this;
      call.block.push_back(std::move(sub));
    }
  } else {
    fill(call, operation.commands[0]);
  }
  call.db = static_cast<std::uint8_t>(db_of(key));
  call.client_id = static_cast<std::uint64_t>(client);
  call.sink = this;
  ++asked_;
  const int id = history(key).ask(std::move(operation), client, scheduler_.wall_ms());
  mine->operation = id;
  under_way_[&call] = std::move(mine);
  instance_.submit(call);
  return id;
}

KeyHistory& Users::history(const FullKey& key) {
  const auto [it, is_new] = histories_.try_emplace(key);
  if (is_new) it->second.set_expiry_slack(options_.expiry_slack_ms);
  return it->second;
}

void Users::in_doubt(const FullKey& key, Operation operation) {
  constexpr int kStranger = 99;
  KeyHistory& history = this->history(key);
  const int id = history.ask(std::move(operation), kStranger, scheduler_.wall_ms());
  history.in_doubt(id, "by a stranger", scheduler_.wall_ms());
}

void Users::loosen(const FullKey& key, std::string_view why) {
  history(key).loosen(why, scheduler_.wall_ms());
}

std::set<FullKey> Users::loosen_under_way(std::string_view why) {
  std::set<FullKey> keys;  // by name, not by address
  for (const auto& [call, mine] : under_way_) keys.insert(mine->key);
  for (const FullKey& key : keys) loosen(key, why);
  return keys;
}

// UNKNOWN is for what cannot be known: a key that Redis was not asked for yet, or a row that does
// not read; never while Redis is trusted.
bool Users::excused(const UnderWay& one) const {
  const bool no_multi = last_reply_.starts_with("-ERR EXEC without MULTI");
  if (no_multi || last_reply_.starts_with("-NOPERM")) return excused(one, Excuse::denied);
  if (last_reply_.find("the ledger cannot be written") != std::string::npos) {
    return excused(one, Excuse::unwritable);
  }
  if (histories_.at(one.key).loose()) return true;
  const bool only_redis_can = key_of(one.key).starts_with("script:");
  if (only_redis_can) return true;
  const EngineStatus status = instance_.status();
  const bool known = status.adoption_complete && !unreadable(one);
  return !known;
}

void Users::check_time(const UnderWay& one) {
  const std::int64_t took_us = scheduler_.now_us() - one.asked_us;
  if (one.asked_us <= instance_.disturbed_us()) return;
  const bool calm = one.asked_us > slow_until_us_;
  slowest_us_ = std::max(slowest_us_, took_us);
  const bool script = key_of(one.key).starts_with("script:");  // has the slow deadline
  if (took_us > options_.bound_us * (script ? 20 : calm ? 1 : 4)) {
    fail(one.key, "operation " + std::to_string(one.operation) + " took " +
                      std::to_string(took_us / kMs) + " ms");
  }
}

void Users::on_error(const UnderWay& one) {
  KeyHistory& history = this->history(one.key);
  if (!excused(one)) fail(one.key, "an error reached a client: " + last_reply_);
  if (last_reply_.starts_with("-ERR EXEC without MULTI")) {
    loosen(one.key, "MULTI was denied: the block was executed one by one, as on Redis itself");
  }
  if (one.writes) {
    history.in_doubt(one.operation, last_reply_, scheduler_.wall_ms());
  } else {
    history.refused(one.operation, last_reply_, scheduler_.wall_ms());
  }
}

void Users::on_reply(Call& call, std::string_view reply) {
  const auto it = under_way_.find(&call);
  if (it == under_way_.end()) return fail({}, "a call was answered twice");
  const auto mine = std::move(it->second);
  under_way_.erase(it);
  scheduler_.trace(reply);
  KeyHistory& history = this->history(mine->key);
  last_reply_ = normalise(reply);
  check_time(*mine);
  if (last_reply_[0] == '-') {
    on_error(*mine);
    return mine->then("");
  }
  const bool trusted = instance_.status().shard.trust == Trust::trusted;
  const bool lacked = mine->lacked || redis_lacks(mine->key);
  if (unreadable(*mine) && !history.loose() && (!trusted || lacked)) {
    loosen(mine->key, "W3: while the ledger cannot be read, Redis is taken at its word");
  }
  if (lacked && instance_.status().shard.shared_unsafe) {
    loosen(mine->key, "W6: a ledger that was lost is taken for another stayd's for 15 s");
  }
  const bool adopted = instance_.status().adoption_complete;
  if (!adopted && !trusted && mine->writes && !redis_lacks(mine->key)) {
    loosen(mine->key, "W7: written before it was known what Redis holds");
  }
  const auto& name = mine->call.spec->name;
  const bool logout = name == "del" || name == "unlink";
  const bool uncounted =
      excused(*mine, Excuse::unwritable) || unwritten_logouts_.contains(mine->key);
  if (logout && (!adopted || uncounted)) {
    // Logging out an id that stayd has not seen yet counts as done (R4), whatever was there; and
    // so does a logout that the ledger cannot take.
    history.done(mine->operation, scheduler_.wall_ms());
  } else if (!history.answer(mine->operation, reply, scheduler_.wall_ms())) {
    fail(mine->key, history.why());
  }
  if (mine->writes && excused(*mine, Excuse::unwritable)) {
    // The next outage may show an older value, until it has been read back. Logouts hold in memory.
    if (logout) {
      unwritten_logouts_.insert(mine->key);
    } else {
      loosen(mine->key, "written while the ledger takes nothing");
    }
  }
  mine->then(last_reply_);
}

void Users::on_kill() {
  auto lost = std::move(under_way_);
  under_way_.clear();
  std::vector<std::unique_ptr<UnderWay>> all;
  for (auto& [call, mine] : lost) all.push_back(std::move(mine));
  // By question, not by address: runs must not depend on where memory lies.
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return std::tie(a->asked_us, a->key, a->operation) <
           std::tie(b->asked_us, b->key, b->operation);
  });
  for (const auto& mine : all) {
    KeyHistory& history = this->history(mine->key);
    history.in_doubt(mine->operation, "stayd was killed", scheduler_.wall_ms());
    mine->then("");
  }
  const auto unwritable_until_us = excused_until_us_[static_cast<std::size_t>(Excuse::unwritable)];
  const bool written_since = scheduler_.now_us() > unwritable_until_us + kTombRetryUs;
  for (const FullKey& key : std::exchange(unwritten_logouts_, {})) {
    if (written_since) continue;
    loosen(key, "W2: killed before the logout was written");
    not_compared.insert(key);
  }
}

// --- sessions -------------------------------------------------------------------------------

std::string Users::value(const Session& session) {
  return session.name + ":v" + std::to_string(++versions_);
}

Habit Users::draw_habit() {
  std::uint64_t sum = 0;
  for (const int weight : options_.weights) sum += static_cast<std::uint64_t>(weight);
  std::uint64_t left = random_.below(sum);
  for (std::size_t i = 0; i < kHabits; ++i) {
    const auto weight = static_cast<std::uint64_t>(options_.weights[i]);
    if (left < weight) return static_cast<Habit>(i);
    left -= weight;
  }
  return Habit::express;
}

void Users::open_session() {
  if (stopped_) return;
  auto session = std::make_shared<Session>();
  session->habit = draw_habit();
  static constexpr std::array<const char*, kHabits> kNames = {
      "sess:",  "PHPREDIS_SESSION:", "spring:", "scs:", "lock:", "count:",
      "brief:", "fenced:",           "script:", "old:"};
  const bool returns = session->habit == Habit::returning;
  const auto number = returns ? random_.below(kOldKeys) : ++names_;
  session->name = kNames[static_cast<std::size_t>(session->habit)] + std::to_string(number);
  const int db = !returns && random_.chance(20) ? 3 : 0;
  session->key = full_key(db, session->name);
  if (session->habit == Habit::fenced) history(session->key).start_with({.fenced = true});
  session->left = 5 + static_cast<int>(random_.below(60));
  // Some sleep: what a fault did to their session is not hidden by a command right after it.
  if (random_.chance(40)) session->pace = 5 + static_cast<int>(random_.below(40));
  const int clients =
      1 + static_cast<int>(random_.below(static_cast<std::uint64_t>(*options_.max_clients)));
  session->clients = clients;
  for (int client = 0; client < clients; ++client) think(session, client);
}

void Users::think(const std::shared_ptr<Session>& session, int client) {
  const auto pause = random_.below(static_cast<std::uint64_t>(2 * *options_.think_us));
  // Logged-out sessions are looked at again now and then: nobody gets back in.
  const std::int64_t factor = session->logged_out ? 30 : session->pace;
  scheduler_.after(factor * static_cast<std::int64_t>(pause),
                   [this, session, client] { next(session, client); });
}

void Users::next(const std::shared_ptr<Session>& session, int client) {
  if (stopped_) return;
  const bool over = session->left <= -4 || history(session->key).given_up();
  if (over) {
    if (--session->clients == 0) open_session();
    return;
  }
  if (!instance_.alive()) return think(session, client);
  if (session->habit == Habit::lock && session->left > 0) return lock_cycle(session, client);
  ask_then(session->key, choose(*session), client,
           [this, session, client](const std::string&) { think(session, client); });
}

Operation Users::choose(Session& session) {
  --session.left;
  if (session.left < 0) {
    const bool first = !session.logged_out;
    session.logged_out = true;
    if (first) return one({random_.chance(70) ? "DEL" : "UNLINK", session.name});
    return after_logout(session);
  }
  switch (session.habit) {
    case Habit::express:
    case Habit::fenced:
    case Habit::returning:
      return choose_string(session, false);
    case Habit::php:
      return choose_string(session, true);
    case Habit::hash:
      return choose_hash(session, false);
    case Habit::block:
      return choose_hash(session, true);
    case Habit::brief:
      return choose_brief(session);
    case Habit::script:
      return choose_script(session);
    default:
      return one({random_.chance(80) ? "INCR" : "GET", session.name});
  }
}

// Nobody gets back in; and a request that began before the logout may still save what it knows.
Operation Users::after_logout(Session& session) {
  const bool fenced = session.habit == Habit::fenced;
  if (fenced && random_.chance(40)) return one({"SET", session.name, value(session), "EX", "900"});
  if (fenced && random_.chance(10)) {
    return one({"SET", session.name, value(session), "EX", "900", "NX"});
  }
  const bool hash = session.habit == Habit::hash || session.habit == Habit::block;
  return one({hash ? "HGETALL" : "GET", session.name});
}

// One lifetime for all: a newer value never ends before an older one would have.
Operation Users::choose_brief(Session& session) {
  const auto what = random_.below(100);
  if (what < 70) return one({"GET", session.name});
  if (what < 85) return one({"EXPIRE", session.name, "3"});
  return one({"SET", session.name, value(session), "PX", "3000"});
}

Operation Users::choose_script(Session& session) {
  const auto what = random_.below(100);
  if (what < 50) return one({"GET", session.name});
  if (what < 85)
    return one({"EVAL", kAppend, "1", session.name, "+" + std::to_string(++versions_)});
  return one({"SET", session.name, value(session)});
}

Operation Users::choose_string(Session& session, bool setex) {
  const auto what = random_.below(100);
  const std::string ttl = std::to_string(kTtlSeconds + static_cast<std::int64_t>(what));
  if (what < 50) return one({"GET", session.name});
  if (what < 70) return one({"EXPIRE", session.name, ttl});
  if (what < 75) return one({"EXISTS", session.name});
  if (what < 77) return one({"GETDEL", session.name});
  if (what < 80) return one({"SET", session.name, value(session), "EX", ttl, "XX"});
  // Of a session from before stayd: NX goes ahead in an outage though nothing is known yet.
  const bool may_be_unknown = session.habit == Habit::returning;
  if (what < 83 && !may_be_unknown) {
    return one({"SET", session.name, value(session), "EX", ttl, "NX"});
  }
  if (setex) return one({"SETEX", session.name, ttl, value(session)});
  return one({"SET", session.name, value(session), "EX", ttl});
}

Operation Users::choose_hash(Session& session, bool block) {
  const auto what = random_.below(100);
  const std::string ttl = std::to_string(kTtlSeconds + static_cast<std::int64_t>(what));
  const std::string version = value(session);
  const Words save = {"HSET", session.name, "absexp", version, "data", version, "user", version};
  const Words touch = {"EXPIRE", session.name, ttl};
  if (what < 45) return one({"HGETALL", session.name});
  if (what < 55) return one(touch);
  if (what < 58) return one({"DEL", session.name});
  if (!block) return one(save);
  Operation operation{.commands = {save, touch}, .block = true};
  if (what < 75) operation.commands.push_back({"HINCRBY", session.name, "writes", "1"});
  if (what > 95) {
    operation.commands = {{"DEL", session.name}, save, touch};
  }
  return operation;
}

// SET NX PX with a token of one's own, then compare-and-delete.
void Users::lock_cycle(const std::shared_ptr<Session>& session, int client) {
  --session->left;
  const std::string token = value(*session);
  ask_then(session->key, one({"SET", session->name, token, "NX", "PX", "30000"}), client,
           [this, session, client, token](const std::string& reply) {
             if (reply != "+OK") return think(session, client);
             const auto held_us = static_cast<std::int64_t>(random_.below(30 * kMs));
             scheduler_.after(held_us, [this, session, client, token] {
               if (!instance_.alive() || stopped_) return think(session, client);
               ask_then(session->key, one({"EVAL", kCompareAndDelete, "1", session->name, token}),
                        client,
                        [this, session, client](const std::string&) { think(session, client); });
             });
           });
}

}  // namespace stayd::sim
