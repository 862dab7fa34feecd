// Users: what sessions are opened, and what each of their commands is.
#include "sim/users.h"

namespace stayd::sim {

namespace {

constexpr const char* kCompareAndDelete =
    "if redis.call(\"get\",KEYS[1]) == ARGV[1] then return redis.call(\"del\",KEYS[1]) else "
    "return 0 end";
constexpr const char* kAppend = "return redis.call('append',KEYS[1],ARGV[1])";
constexpr std::int64_t kTtlSeconds = 3600;

Operation one(Words words) {
  return {.commands = {std::move(words)}};
}

}  // namespace

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
  const int db = !returns && random_.chance(20) && !options_.one_database ? 3 : 0;
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
  if (!home(session->key).alive()) return think(session, client);
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
               if (!home(session->key).alive() || stopped_) return think(session, client);
               ask_then(session->key, one({"EVAL", kCompareAndDelete, "1", session->name, token}),
                        client,
                        [this, session, client](const std::string&) { think(session, client); });
             });
           });
}

}  // namespace stayd::sim
