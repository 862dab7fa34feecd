// What the simulated Redis answers: refusals, MULTI, commands on records by the stand-in, and the
// few commands about the server itself.
#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "resp/reply.h"
#include "session/standin.h"
#include "sim/redis_model.h"

namespace stayd::sim {

namespace {

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The records one command touches, copied, so that what it changed can be told.
class Copies final : public Workspace {
 public:
  std::map<FullKey, Record> records;
  Record& record(std::string_view key) override { return records.find(FullKey(key))->second; }
};

}  // namespace

bool RedisModel::write_refused(bool grows, std::string& out) const {
  if (flags.replica || flags.master_down) {
    write_error(out, "READONLY You can't write against a read only replica.");
  } else if (flags.misconf) {
    write_error(out,
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable "
                "to persist to disk.");
  } else if (flags.no_replicas) {
    write_error(out, "NOREPLICAS Not enough good replicas to write.");
  } else if (flags.no_memory && grows) {
    write_error(out, "OOM command not allowed when used memory > 'maxmemory'.");
  } else {
    return false;
  }
  return true;
}

bool RedisModel::refuse(const CommandSpec& spec, std::string& out) const {
  if (flags.loading && (spec.flags & kCmdLoading) == 0) {
    write_error(out, "LOADING Redis is loading the dataset in memory");
    return true;
  }
  if (flags.busy && (spec.flags & kCmdAllowBusy) == 0) {
    write_error(out,
                "BUSY Redis is busy running a script. You can only call SCRIPT KILL or "
                "SHUTDOWN NOSAVE.");
    return true;
  }
  if (denied.contains(spec.name)) {
    write_error(out, "NOPERM this user has no permissions to run the '" + std::string(spec.name) +
                         "' command");
    return true;
  }
  const bool writes = spec.writes();
  const bool with_keys = writes || spec.handling == Handling::read || spec.name == "evalsha";
  if (flags.master_down && with_keys && !writes) {
    write_error(out,
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.");
    return true;
  }
  if (flags.try_again && with_keys) {
    write_error(out, "TRYAGAIN Multiple keys request during rehashing of slot");
    return true;
  }
  if (writes) return write_refused((spec.flags & kCmdDenyOom) != 0, out);
  return false;
}

// What a Cluster's node says of keys that are not all here.
bool RedisModel::redirect(const std::vector<FullKey>& keys, std::string& out) const {
  if (!place || keys.empty()) return false;
  const Slot slot = slot_of(key_of(keys.front()));
  const auto same = [&](const FullKey& key) { return slot_of(key_of(key)) == slot; };
  const auto here = [&](const FullKey& key) { return data_.contains(key); };
  if (!std::ranges::all_of(keys, same)) {
    write_error(out, "CROSSSLOT Keys in request don't hash to the same slot");
  } else if (!place->own[slot]) {
    write_error(out, "MOVED " + std::to_string(slot) + " " + place->address_of(slot));
  } else if (!place->migrating[slot] || std::ranges::all_of(keys, here)) {
    return false;
  } else if (std::ranges::any_of(keys, here)) {
    write_error(out, "TRYAGAIN Multiple keys request during rehashing of slot");
  } else {
    write_error(out, "ASK " + std::to_string(slot) + " " + place->migrates_to);
  }
  return true;
}

bool RedisModel::redirect(int db, const CommandSpec& spec, const Args& args,
                          std::string& out) const {
  std::vector<std::uint32_t> positions;
  if (!place || !find_keys(spec, args, positions)) return false;
  std::vector<FullKey> keys;
  for (const auto position : positions) keys.push_back(full_key(db, args[position]));
  return redirect(keys, out);
}

void RedisModel::command(Peer& peer, const Args& args, std::string& out) {
  ++group_;
  const CommandSpec* spec = find_command(args);
  const bool closes = spec != nullptr && (spec->name == "exec" || spec->name == "discard");
  std::string refusal;
  if (spec == nullptr) {
    write_error(refusal, unknown_command_error(args));
  } else if (!arity_fits(*spec, args.size())) {
    write_error(refusal, wrong_arity_error(*spec));
  } else if (!redirect(peer.db, *spec, args, refusal)) {
    refuse(*spec, refusal);
  }
  if (!refusal.empty()) {
    if (peer.multi && !closes) peer.dirty = true;
    out += refusal;
    return;
  }
  if (peer.multi && !closes) return queue(peer, *spec, args, out);
  if (spec->name == "multi") {
    peer.multi = true;
    peer.dirty = false;
    peer.queued.clear();
    return write_simple(out, "OK");
  }
  if (spec->name == "exec") return exec(peer, out);
  run(peer, *spec, args, out);
}

void RedisModel::queue(Peer& peer, const CommandSpec&, const Args& args, std::string& out) {
  peer.queued.emplace_back(args.begin(), args.end());
  write_simple(out, "QUEUED");
}

void RedisModel::exec(Peer& peer, std::string& out) {
  if (!peer.multi) return write_error(out, "ERR EXEC without MULTI");
  peer.multi = false;
  const auto queued = std::move(peer.queued);
  peer.queued.clear();
  std::string refusal;
  std::vector<FullKey> keys;
  for (const Words& words : queued) {
    const Args args(words.begin(), words.end());
    std::vector<std::uint32_t> positions;
    find_keys(*find_command(args), args, positions);
    for (const auto position : positions) keys.push_back(full_key(peer.db, args[position]));
  }
  if (!peer.dirty && redirect(keys, out)) return;
  for (const Words& words : queued) {
    const Args args(words.begin(), words.end());
    if (refusal.empty()) refuse(*find_command(args), refusal);
  }
  if (!refusal.empty() || peer.dirty) {
    const auto why = peer.dirty ? "previous errors." : refusal.substr(1, refusal.find('\r') - 1);
    return write_error(out, "EXECABORT Transaction discarded because of: " + why);
  }
  write_array(out, queued.size());
  for (const Words& words : queued) {
    const Args args(words.begin(), words.end());
    run(peer, *find_command(args), args, out);
  }
}

void RedisModel::run(Peer& peer, const CommandSpec& spec, const Args& args, std::string& out) {
  if (spec.name == "evalsha" && run_script(peer, args, out)) return;
  if (stand_in_supports(spec, args)) {
    run_records(peer.db, spec, args, out);
  } else {
    run_native(peer, spec, args, out);
  }
}

void RedisModel::run_records(int db, const CommandSpec& spec, const Args& args, std::string& out) {
  std::vector<std::uint32_t> positions;
  if (!find_keys(spec, args, positions)) {
    return write_error(out, "ERR Invalid arguments specified for command");
  }
  Copies copies;
  std::map<FullKey, Record> before;
  for (const auto position : positions) {
    const FullKey key = full_key(db, args[position]);
    const Record* found = find(db, args[position]);
    before[key] = copies.records[key] = found == nullptr ? Record{} : *found;
  }
  std::vector<Mutation> effects;
  std::string reply;
  execute({&spec, &args, db, wall_ms()}, copies, reply, effects);
  // A script is refused at its first write, a command before it runs.
  if (spec.handling == Handling::script && copies.records != before && write_refused(false, out)) {
    return;
  }
  out += reply;
  for (auto& [key, record] : copies.records) {
    if (record == before[key]) continue;
    set(key, record.exists() ? std::optional(std::move(record)) : std::nullopt);
  }
}

void RedisModel::run_native(Peer& peer, const CommandSpec& spec, const Args& args,
                            std::string& out) {
  const auto name = spec.name;
  if (name == "hello") return hello(peer, out);
  if (name == "eval") return append(peer, args, out);
  if (name == "info") return info(args, out);
  if (name == "scan") return scan(peer, args, out);
  if (name == "client|kill") return kill_client(args, out);
  if (name == "script|load") return script_load(args[2], out);
  if (name == "ping") return write_simple(out, "PONG");
  if (name == "time") {
    const auto us = wall_ms() * 1000;
    write_array(out, 2);
    write_bulk(out, std::to_string(us / 1000'000));
    return write_bulk(out, std::to_string(us % 1000'000));
  }
  if (name == "select") {
    peer.db = static_cast<int>(number(args[1]));
    return write_simple(out, "OK");
  }
  if (name == "flushall" || name == "flushdb") {
    std::vector<FullKey> keys;
    for (const auto& [key, record] : data_) {
      if (name == "flushall" || db_of(key) == peer.db) keys.push_back(key);
    }
    for (const FullKey& key : keys) set(key, std::nullopt);
    return write_simple(out, "OK");
  }
  if (name == "dbsize") {
    std::int64_t count = 0;
    for (const auto& [key, record] : data_) count += db_of(key) == peer.db;
    return write_integer(out, count);
  }
  write_error(out, "ERR the simulated Redis does not know '" + std::string(name) + "'");
}

// Scripts that stayd does not know all append ARGV[1] to KEYS[1].
void RedisModel::append(Peer& peer, const Args& args, std::string& out) {
  if (write_refused(true, out)) return;
  const Record* found = find(peer.db, args[3]);
  Record longer = found == nullptr ? Record{.value = std::string()} : *found;
  auto& text = std::get<std::string>(longer.value);
  text += args[4];
  write_integer(out, static_cast<std::int64_t>(text.size()));
  set(full_key(peer.db, args[3]), std::move(longer));
}

void RedisModel::hello(Peer& peer, std::string& out) {
  if (flags.no_auth) {
    return write_error(out,
                       "NOAUTH HELLO must be called with the client already authenticated, "
                       "otherwise the HELLO <proto> AUTH <user> <pass> option can be used");
  }
  write_map(out, 3);
  write_bulk(out, "version");
  write_bulk(out, "7.0.15");
  write_bulk(out, "proto");
  write_integer(out, 3);
  write_bulk(out, "id");
  write_integer(out, peer.id);
}

void RedisModel::info(const Args& args, std::string& out) {
  std::map<int, int> keys;
  for (const auto& [key, record] : data_) ++keys[db_of(key)];
  std::string keyspace = "# Keyspace\r\n";
  for (const auto& [db, count] : keys) {
    keyspace += "db" + std::to_string(db) + ":keys=" + std::to_string(count) + ",expires=0\r\n";
  }
  const std::pair<std::string_view, std::string> sections[] = {
      {"server", "# Server\r\nredis_version:7.0.15\r\nrun_id:" + run_id_ + "\r\n"},
      {"persistence",
       std::string("# Persistence\r\nloading:") + (flags.loading ? "1" : "0") + "\r\n"},
      {"memory", std::string("# Memory\r\nmaxmemory:1000000\r\nmaxmemory_policy:") +
                     (may_evict ? "allkeys-random" : "noeviction") + "\r\n"},
      {"stats", "# Stats\r\nevicted_keys:" + std::to_string(evicted_keys_) + "\r\n"},
      {"replication", std::string("# Replication\r\nrole:") +
                          (flags.replica || flags.master_down ? "slave" : "master") + "\r\n"},
      {"keyspace", keyspace}};
  std::string text;
  for (const auto& [name, content] : sections) {
    bool wanted = args.size() == 1;
    for (std::size_t i = 1; i < args.size(); ++i) wanted |= equals_ignore_case(args[i], name);
    if (wanted) text += (text.empty() ? "" : "\r\n") + content;
  }
  write_verbatim(out, text);
}

void RedisModel::scan(Peer& peer, const Args& args, std::string& out) {
  if (flags.no_scan) return write_error(out, "NOPERM this user has no permissions to run 'scan'");
  std::size_t count = 10;
  for (std::size_t i = 2; i + 1 < args.size(); i += 2) {
    if (equals_ignore_case(args[i], "count")) count = static_cast<std::size_t>(number(args[i + 1]));
  }
  const auto from = cursors_.find(static_cast<std::uint64_t>(number(args[1])));
  auto it = data_.upper_bound(from == cursors_.end() ? full_key(peer.db, "") : from->second);
  std::vector<std::string_view> page;
  std::string last;
  for (; it != data_.end() && db_of(it->first) == peer.db && page.size() < count; ++it) {
    page.push_back(key_of(it->first));
    last = it->first;
  }
  std::uint64_t cursor = 0;
  if (it != data_.end() && db_of(it->first) == peer.db) {
    cursor = ++next_cursor_;
    cursors_[cursor] = last;
  }
  write_array(out, 2);
  write_bulk(out, std::to_string(cursor));
  write_array(out, page.size());
  for (const auto key : page) write_bulk(out, key);
}

void RedisModel::kill_client(const Args& args, std::string& out) {
  const auto it = args.size() == 4 ? peers_.find(number(args[3])) : peers_.end();
  if (it == peers_.end()) return write_integer(out, 0);
  send_away(PeerPtr(it->second));
  write_integer(out, 1);
}

}  // namespace stayd::sim
