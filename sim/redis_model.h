// One redis-server as stayd meets it: RESP in, RESP3 out, the dataset as Records, commands executed
// by the stand-in or natively, and every state a real server falls into. What it exposes after a
// restart is always a prefix of its history (A1). Deterministic; owned by the World.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/slots.h"
#include "resp/command_table.h"
#include "session/record.h"
#include "sim/scheduler.h"
#include "sim/server.h"

namespace stayd::sim {

// What the server says instead of doing its work.
struct ServerFlags {
  bool loading = false;
  bool busy = false;
  bool no_memory = false;    // OOM: refuses kCmdDenyOom
  bool misconf = false;      // refuses every write
  bool no_replicas = false;  // likewise: too few replicas have heard
  bool replica = false;      // READONLY
  bool master_down = false;  // a replica without its primary: serves nothing
  bool try_again = false;    // as in the middle of a resharding: nothing with keys
  bool no_auth = false;      // new connections lack a password
  bool full = false;         // max number of clients: new connections are sent away
  bool no_scan = false;      // refuses SCAN: a backfill does not end
  bool frozen = false;       // SIGSTOP: takes bytes, does nothing
};

class RedisModel final : public Server {
 public:
  // What a primary of a Redis Cluster knows of slots.
  struct Place {
    SlotSet own;
    SlotSet migrating;  // of its own: keys that it lacks may be elsewhere
    std::string migrates_to;
    std::function<std::string(Slot)> address_of;  // whoever has it
  };

  RedisModel(Scheduler& scheduler, Random& random);

  // --- the network's side
  bool listening() const override { return running_; }
  const std::string& run_id() const override { return run_id_; }
  bool frozen() const override { return flags.frozen; }
  void greet(const PeerPtr& peer) override;

  // --- faults
  ServerFlags flags;
  std::set<std::string, std::less<>> denied;  // commands that the user may not run (NOPERM)
  std::int64_t reply_delay_us = 0;            // every command takes this much longer
  std::int64_t clock_offset_ms = 0;           // of its host's clock
  bool may_evict = true;                      // as its maxmemory-policy says
  void kill();
  // Starts again with what is left after the last `lost_changes` changes are undone.
  void start(std::size_t lost_changes);
  void start_empty();
  // Starts as a replica of `primary` that has not seen its last `lost_changes` changes.
  void start_as_replica_of(const RedisModel& primary, std::size_t lost_changes);
  void forget_history() { journal_.clear(), group_ = 0; }  // no restart goes back behind this
  // When its history happened and what was ever taken from it: nothing that a client could see.
  void forget_times();
  // Another server behind a proxy, without the last `lost_changes`: no connection ends. It has
  // evicted as many keys: what it would tell otherwise no rule of today sees through (R16).
  void fail_over(std::size_t lost_changes);
  // A replica without the last `lost_changes` takes this server's place; new connections find it
  // here. Returned: the server of before, which serves its connections on until it is told.
  std::unique_ptr<RedisModel> promote_replica(std::size_t lost_changes);
  // The other one's memory, process and connections are behind this address from now on, and the
  // other way round; what befalls the address (flags, delays, clock) stays.
  void trade_places(RedisModel& other);
  void freeze() { flags.frozen = true; }
  void thaw();
  void evict(std::size_t count);
  void evict_one(const FullKey& key);
  void flush_all();  // by a client that does not come through stayd
  // By a stranger, past stayd.
  void remove(const FullKey& key);
  void put(const FullKey& key, Record record);

  // --- as a shard of a Cluster
  std::optional<Place> place;  // nullopt: standalone
  bool owns(const FullKey& key) const { return !place || place->own[slot_of(key_of(key))]; }
  void migrate(FullKey key, RedisModel& to);  // MIGRATE ... REPLACE

  const std::map<FullKey, Record>& data() const { return data_; }
  // Every key that was ever evicted, or deleted past stayd: found when it is next read; and an old
  // snapshot may lack it again.
  const std::set<FullKey>& taken() const { return taken_; }
  // Hears of each key that is evicted.
  std::function<void(const FullKey&)> on_evicted = [](const FullKey&) {};
  std::size_t journal_size() const { return journal_.size(); }
  // What changed `age` changes ago; 0: last.
  const FullKey& changed(std::size_t age) const { return journal_[journal_.size() - 1 - age].key; }
  // Where in the journal the state of `time_us` ends: how many changes are younger.
  std::size_t changes_since(std::int64_t time_us) const;

 private:
  struct Undo {
    FullKey key;
    std::optional<Record> before;
    std::uint64_t group;
    std::int64_t time_us;
  };
  using Words = std::vector<std::string>;

  void on_received(const PeerPtr& peer) override;
  void new_process();
  void go_back(std::size_t lost_changes);

  // redis_commands.cc
  void command(Peer& peer, const Args& args, std::string& out) override;
  bool refuse(const CommandSpec& spec, std::string& out) const;
  bool redirect(int db, const CommandSpec& spec, const Args& args, std::string& out) const;
  bool redirect(const std::vector<FullKey>& keys, std::string& out) const;
  void queue(Peer& peer, const CommandSpec& spec, const Args& args, std::string& out);
  void exec(Peer& peer, std::string& out);
  void run(Peer& peer, const CommandSpec& spec, const Args& args, std::string& out);
  void run_native(Peer& peer, const CommandSpec& spec, const Args& args, std::string& out);
  void run_records(int db, const CommandSpec& spec, const Args& args, std::string& out);
  void hello(Peer& peer, std::string& out);
  void append(Peer& peer, const Args& args, std::string& out);
  void info(const Args& args, std::string& out);
  void scan(Peer& peer, const Args& args, std::string& out);
  void kill_client(const Args& args, std::string& out);

  // redis_scripts.cc: stayd's own four scripts, done natively
  bool run_script(Peer& peer, const Args& args, std::string& out);
  void script_load(std::string_view text, std::string& out);
  void guard(Peer& peer, const Args& args, std::string& out);
  void heartbeat(Peer& peer, const Args& args, std::string& out);
  void lease(Peer& peer, const Args& args, std::string& out);
  std::string digest(int db, std::string_view key);
  void repair(Peer& peer, const Args& args, std::string& out, bool if_unchanged);
  void read_back(Peer& peer, const Args& args, std::string& out);
  bool write_refused(bool grows, std::string& out) const;

  std::int64_t wall_ms() const { return scheduler_.wall_ms() + clock_offset_ms; }
  Record* find(int db, std::string_view key);  // nullptr: absent or expired
  void set(const FullKey& key, std::optional<Record> record);

  Scheduler& scheduler_;
  Random& random_;
  bool running_ = true;
  std::string run_id_;
  std::uint64_t starts_ = 0;
  std::uint64_t evicted_keys_ = 0;
  std::map<FullKey, Record> data_;
  std::deque<Undo> journal_;
  std::uint64_t group_ = 0;
  std::set<FullKey> taken_;
  // The last flush. Between two heartbeats that also saw evictions it looks like one (R11): what it
  // took is put back when it is read.
  std::set<FullKey> flushed_;
  std::int64_t flushed_us_ = -kSecond;
  std::map<std::string, int, std::less<>> scripts_;  // sha1 -> index of our script, -1: another's
  std::map<std::uint64_t, std::string> cursors_;
  std::uint64_t next_cursor_ = 0;
};

}  // namespace stayd::sim
