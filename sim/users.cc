#include "sim/users.h"

#include <utility>

#include "base/error.h"
#include "sim/request.h"

namespace stayd::sim {

namespace {

constexpr int kStranger = 99;                       // as a client
constexpr std::int64_t kUnshippedMs = 300;          // W5: what a stayd takes along
constexpr std::int64_t kTombRetryUs = 2 * kSecond;  // tombstones are tried again each second

}  // namespace

std::vector<SessionPolicy> policies_of_users() {
  return {{.match = "fenced:*", .fence = Fence::forever}, {.match = "*"}};
}

Users::Users(Scheduler& scheduler, Random random, const Instances& instances, UsersOptions options)
    : scheduler_(scheduler), random_(random), instances_(instances), options_(options) {}

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

int Users::ask_at(Instance& at, const FullKey& key, Operation operation) {
  return submit(at, key, std::move(operation), 0, [](const std::string&) {});
}

int Users::submit(Instance& at, const FullKey& key, Operation operation, int client,
                  std::function<void(const std::string&)> then) {
  auto mine = std::make_unique<UnderWay>();
  mine->at = &at;
  mine->key = key;
  mine->client = client;
  mine->writes = operation.writes();
  mine->asked_us = scheduler_.now_us();
  mine->lacked = redis_lacks(key);
  if (mine->writes) logged_out_.erase(key);
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
  note_roaming(key);
  note_apart(key);
  under_way_[&call] = std::move(mine);
  at.submit(call);
  return id;
}

KeyHistory& Users::history(const FullKey& key) {
  const auto [it, is_new] = histories_.try_emplace(key);
  if (is_new) it->second.set_expiry_slack(options_.expiry_slack_ms);
  return it->second;
}

void Users::done_by_stranger(const FullKey& key, Operation operation) {
  KeyHistory& history = this->history(key);
  const int id = history.ask(std::move(operation), kStranger, scheduler_.wall_ms());
  history.done(id, scheduler_.wall_ms());
}

void Users::in_doubt(const FullKey& key, Operation operation) {
  logged_out_.erase(key);
  KeyHistory& history = this->history(key);
  const int id = history.ask(std::move(operation), kStranger, scheduler_.wall_ms());
  history.in_doubt(id, "by a stranger", scheduler_.wall_ms());
}

void Users::loosen(const FullKey& key, std::string_view why) {
  history(key).loosen(why, scheduler_.wall_ms());
}

std::set<FullKey> Users::loosen_under_way(const Instance& instance, std::string_view why) {
  std::set<FullKey> keys;  // by name, not by address
  for (const auto& [call, mine] : under_way_) {
    if (mine->at == &instance) keys.insert(mine->key);
  }
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
  const auto& name = one.call.spec->name;
  const bool logout = name == "del" || name == "unlink";
  // Refused by Redis, and by the ledger too.
  if (logout && last_reply_.find("outcome unknown") != std::string::npos) {
    return excused(one, Excuse::unwritable);
  }
  if (histories_.at(one.key).loose()) return true;
  const bool only_redis_can = key_of(one.key).starts_with("script:");
  if (only_redis_can) return true;
  const EngineStatus status = one.at->status_of(one.key);
  const bool known = status.adoption_settled && !unreadable(one);
  // W7: the row may be in the backup alone, if another stayd can have made it, or this one's last
  // life.
  const bool has_row = one.at->disk().rows().contains(one.key);
  const bool only_one = instances_.size() == 1 && one.at->has_read_feed();
  return !known || (options_.fleet && without_backup(one) && !has_row && !only_one);
}

void Users::end_without_backup() {
  --without_backup_;
  backup_back_us_ = scheduler_.now_us();
}

void Users::end_all_without_backup() {
  if (without_backup_ == 0) return;
  without_backup_ = 1;
  end_without_backup();
}

// That it is back is noticed within two seconds, if stayd does not stand still then.
bool Users::without_backup(const UnderWay& one) const {
  std::int64_t noticed_us = backup_back_us_ + 2 * kSecond;
  if (one.at->paused_from_us() < noticed_us) {
    noticed_us = std::max(noticed_us, one.at->disturbed_us() + 2 * kSecond);
  }
  return without_backup_ > 0 || one.asked_us < noticed_us;
}

void Users::check_time(const UnderWay& one) {
  const std::int64_t took_us = scheduler_.now_us() - one.asked_us;
  if (one.asked_us <= one.at->disturbed_us()) return;
  const bool calm = one.asked_us > one.at->slow_until_us();
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
    if (excused(one, Excuse::unwritable)) loosen(one.key, "W14: in doubt, and not in the ledger");
    if (unreadable(one)) loosen(one.key, "W3: in doubt while the ledger cannot be read");
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
  note_roaming(mine->key);
  note_apart(mine->key);
  if (last_reply_[0] == '-') {
    on_error(*mine);
    return mine->then("");
  }
  const EngineStatus status = mine->at->status_of(mine->key);
  const bool trusted = status.shard.trust == Trust::trusted;
  const bool lacked = mine->lacked || redis_lacks(mine->key);
  if (unreadable(*mine) && !history.loose() && (!trusted || lacked || history.may_be_fenced())) {
    loosen(mine->key, "W3: while the ledger cannot be read, Redis is taken at its word");
  }
  const bool another = status.shard.shared_unsafe && instances_.size() == 1;
  if (another && redis_evicted(mine->key)) {
    loosen(mine->key, "W6: a ledger that was lost is taken for another stayd's for 15 s");
  }
  const bool adopted = status.adoption_settled;
  const bool asked = trusted && !slot_elsewhere(mine->key, status.shard.address);
  if (!adopted && !asked && mine->writes && !redis_lacks(mine->key)) {
    loosen(mine->key, "W7: written before it was known what Redis holds");
  }
  const auto& name = mine->call.spec->name;
  const bool logout = name == "del" || name == "unlink";
  // W16: what a removal has found is counted by the ledger, too.
  const bool uncounted = excused(*mine, Excuse::unwritable) ||
                         unwritten_logouts_.contains(mine->key) || roams(mine->key) ||
                         options_.fleet;
  if (logout && (!adopted || uncounted)) {
    // Logging out an id that stayd has not seen yet counts as done (R4), whatever was there; and
    // so does a logout that the ledger cannot take.
    history.done(mine->operation, scheduler_.wall_ms());
  } else if (!history.answer(mine->operation, reply, scheduler_.wall_ms())) {
    fail(mine->key, history.why());
  }
  const bool unshipped = unreadable(*mine) || excused(*mine, Excuse::unwritable);
  if (mine->writes && unshipped && roams_in_fleet(mine->key) && !history.loose()) {
    loosen(mine->key, "W5: what the ledger does not have, or cannot read, is not shipped");
  }
  if (mine->writes && excused(*mine, Excuse::unwritable)) {
    // The next outage may show an older value, until it has been read back. Logouts hold in memory.
    if (logout) {
      unwritten_logouts_.insert(mine->key);
    } else {
      loosen(mine->key, "written while the ledger takes nothing");
    }
  }
  // Deleted past stayd, found just now, and the tombstone holds in memory.
  const bool absent = last_reply_ == "nil" || last_reply_ == "{}" || last_reply_ == ":0";
  if (absent && excused(*mine, Excuse::unwritable)) unwritten_logouts_.insert(mine->key);
  if (logout && !uncounted) note_logged_out(mine->key);
  mine->then(last_reply_);
}

// Unless somebody else writes the key at the same time.
void Users::note_logged_out(const FullKey& key) {
  const bool written = std::any_of(under_way_.begin(), under_way_.end(), [&](const auto& entry) {
    return entry.second->writes && entry.second->key == key;
  });
  if (!written) logged_out_.insert(key);
}

void Users::on_kill(const Instance& instance) {
  std::vector<std::unique_ptr<UnderWay>> all;
  for (auto it = under_way_.begin(); it != under_way_.end();) {
    if (it->second->at != &instance) {
      ++it;
      continue;
    }
    all.push_back(std::move(it->second));
    it = under_way_.erase(it);
  }
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
  const std::int64_t unshipped_ms = scheduler_.wall_ms() - kUnshippedMs;
  for (auto& [key, history] : histories_) {
    if (options_.fleet) history.unsure_since(unshipped_ms);
  }
  const auto unwritable_until_us =
      std::max(instance.excused_until_us(Excuse::unwritable), instance.disturbed_us());
  const bool written_since = scheduler_.now_us() > unwritable_until_us + kTombRetryUs;
  for (const FullKey& key : std::set<FullKey>(unwritten_logouts_)) {
    if (&home(key) != &instance) continue;
    unwritten_logouts_.erase(key);
    if (written_since) continue;
    loosen(key, "W2: killed before the logout was written");
    not_compared.insert(key);
  }
}

}  // namespace stayd::sim
