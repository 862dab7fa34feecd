// Users of web applications: sessions kept the way real session libraries keep them (what they
// send was recorded), each command encoded, parsed by the real parser and submitted to the engine,
// each reply handed to the key's history. One loop; owned by the World.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/random.h"
#include "core/call.h"
#include "sim/history.h"
#include "sim/instance.h"
#include "sim/scheduler.h"

namespace stayd::sim {

// How sessions are used; each is a session library's, or a lock's, or a counter's.
enum class Habit : std::uint8_t {
  express,
  php,
  hash,
  block,
  lock,
  counter,
  brief,
  fenced,    // saved again by a slow request after the logout
  script,    // written by a script that only Redis can run
  returning  // of somebody who was there before stayd was
};
inline constexpr std::size_t kHabits = 10;
inline constexpr std::uint64_t kOldKeys = 200;  // in Redis before stayd has ever run, at most

// What is promised for their keys.
std::vector<SessionPolicy> policies_of_users();

// What is not given is drawn from the seed (swarm.h).
struct UsersOptions {
  std::optional<int> sessions;           // alive at once
  std::optional<int> max_clients;        // tabs of one session
  std::optional<std::int64_t> think_us;  // mean pause between two commands of a client
  std::int64_t bound_us = 300 * kMs;     // every call is answered within this
  std::array<int, kHabits> weights{};    // of the kinds of users
  std::int64_t expiry_slack_ms = kExpirySlackMs;
  bool one_database = false;  // as of a Redis Cluster
  // Of the sessions, when there are several stayds: their commands go to any of them.
  std::optional<int> roaming_percent;
  // The stayds share a backup: every command goes to any of them, and nothing is excused by that.
  bool fleet = false;
};

class Users final : private CallSink {
 public:
  // `instances` outlives it; none is added later.
  Users(Scheduler& scheduler, Random random, const Instances& instances, UsersOptions options);
  ~Users() override;

  void start();
  void stop() { stopped_ = true; }  // no new commands
  // A fault keeps somebody from the backup: what has no row may be unknown (W7).
  void begin_without_backup();
  void end_without_backup();
  void end_all_without_backup();
  // A stayd has been killed: what was under way there is in doubt.
  void on_kill(const Instance& instance);

  // The stayd that a session's commands go to: a load balancer keeps sessions together.
  Instance& home(const FullKey& key) const;
  // Whether it does not: commands of this session go to any stayd. No fenced ones (W1).
  bool roams(const FullKey& key) const;
  // What a healthy Redis gives roaming sessions ends with the trust of a single stayd (W16).
  void loosen_roaming(std::string_view why);
  // One command of a directed scenario; its client is the test. Returns the operation's number.
  int ask(const FullKey& key, Operation operation, int client = 0);
  int ask_at(Instance& at, const FullKey& key, Operation operation);
  KeyHistory& history(const FullKey& key);
  const std::map<FullKey, KeyHistory>& histories() const { return histories_; }
  std::map<FullKey, KeyHistory>& histories() { return histories_; }

  // Keys in which Redis and the ledger may differ at the end: W2, W5, W8.
  std::set<FullKey> not_compared;

  bool failed() const { return !violation_.empty(); }
  void fail(const FullKey& key, const std::string& what);
  const std::string& violation() const { return violation_; }
  const FullKey& violated_key() const { return violated_key_; }
  std::size_t under_way() const { return under_way_.size(); }
  const std::string& last_reply() const { return last_reply_; }
  std::uint64_t asked() const { return asked_; }
  std::int64_t slowest_us() const { return slowest_us_; }

  // An operation by somebody else, which takes effect some time, or never.
  void in_doubt(const FullKey& key, Operation operation);
  // One that has taken effect.
  void done_by_stranger(const FullKey& key, Operation operation);
  // Keys whose logout was acknowledged, and which nobody has written since.
  const std::set<FullKey>& logged_out() const { return logged_out_; }
  // Told before the run: whether Redis lacks the key just now; whether it ever evicted it.
  std::function<bool(const FullKey&)> redis_lacks, redis_evicted;
  // Whether the Redis at that address has not, or not wholly, the key's slot.
  std::function<bool(const FullKey&, const std::string&)> slot_elsewhere =
      [](const FullKey&, const std::string&) { return false; };
  // And whether there is more than one Redis.
  std::function<bool()> redis_is_split = [] { return false; };
  // What a documented window leaves open for a key, or for all whose commands are under way in one
  // stayd; which it returns.
  void loosen(const FullKey& key, std::string_view why);
  std::set<FullKey> loosen_under_way(const Instance& instance, std::string_view why);

 private:
  struct Session {
    Habit habit;
    FullKey key;
    std::string name;
    int left = 0;  // operations until logout
    int pace = 1;  // pauses are so much longer than others
    bool logged_out = false;
    int clients = 0;
  };
  struct UnderWay {
    Call call;
    Instance* at = nullptr;
    FullKey key;
    int operation = 0;
    int client = 0;
    bool writes = false;
    bool lacked = false;  // by Redis
    std::int64_t asked_us = 0;
    std::function<void(const std::string&)> then;  // with the normalised reply, "" when in doubt
  };

  void on_reply(Call& call, std::string_view reply) override;
  bool excused(const UnderWay& one, Excuse what) const {
    return one.asked_us <= one.at->excused_until_us(what);
  }
  bool without_backup(const UnderWay& one) const;
  bool excused(const UnderWay& one) const;
  bool unreadable(const UnderWay& one) const {
    return excused(one, Excuse::unreadable) || one.at->disk().ever_unreadable.contains(one.key);
  }
  void on_error(const UnderWay& one);
  void note_logged_out(const FullKey& key);
  void check_time(const UnderWay& one);
  bool calm() const;
  void note_roaming(const FullKey& key);
  bool roams_in_fleet(const FullKey& key) const;
  void note_apart(const FullKey& key);
  void follow_with_lag(const FullKey& key);
  bool lately_without_backup() const;
  Instance& choose_instance(const FullKey& key);
  int ask_then(const FullKey& key, Operation operation, int client,
               std::function<void(const std::string&)> then) {
    return submit(choose_instance(key), key, std::move(operation), client, std::move(then));
  }
  int submit(Instance& at, const FullKey& key, Operation operation, int client,
             std::function<void(const std::string&)> then);
  Habit draw_habit();
  void open_session();
  void next(const std::shared_ptr<Session>& session, int client);
  void think(const std::shared_ptr<Session>& session, int client);
  Operation choose(Session& session);
  Operation choose_string(Session& session, bool setex);
  Operation choose_hash(Session& session, bool block);
  Operation choose_brief(Session& session);
  Operation choose_script(Session& session);
  Operation after_logout(Session& session);
  void lock_cycle(const std::shared_ptr<Session>& session, int client);
  std::string value(const Session& session);

  Scheduler& scheduler_;
  Random random_;
  const Instances& instances_;
  UsersOptions options_;
  std::map<FullKey, KeyHistory> histories_;
  std::map<Call*, std::unique_ptr<UnderWay>> under_way_;
  bool stopped_ = false;
  std::uint64_t versions_ = 0;
  std::uint64_t names_ = 0;
  std::uint64_t asked_ = 0;
  std::int64_t slowest_us_ = 0;
  std::set<FullKey> logged_out_;
  std::set<FullKey> unwritten_logouts_;  // acknowledged while the ledger took nothing
  std::string violation_;
  FullKey violated_key_;
  std::string last_reply_;
  bool apart_ = false;               // the stayds of a fleet do not all trust Redis
  std::int64_t apart_us_ = -1;       // or did not then
  int without_backup_ = 0;           // faults that keep somebody from it
  std::int64_t backup_back_us_ = 0;  // the last one has ended
};

}  // namespace stayd::sim
