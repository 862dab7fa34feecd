#include "tests/differential/script.h"

#include <algorithm>

#include "resp/command_table.h"
#include "session/effects.h"

namespace stayd::differential {
namespace {

const Words& all_keys() {
  static const Words keys = {
      "s1", "s2", "s3", "h1", "h2", "t1", "t2", "z1", "z2", "", std::string("\r\n\0\xff {k}", 8)};
  return keys;
}

// The keys that mostly hold what this command works on.
Words keys_for(const Words& words) {
  const std::string name = words.empty() ? "" : words[0];
  if (name == "EVAL" || name == "EVALSHA") {
    const bool hash = words.size() > 1 && words[1].find("absexp") != std::string::npos;
    return hash ? Words{"h1", "h2"} : Words{"s1", "s2"};
  }
  if (name.starts_with("H")) return {"h1", "h2"};
  if (name.starts_with("Z")) return {"z1", "z2"};
  for (const char* set : {"SADD", "SREM", "SIS", "SMI", "SMEM", "SCARD", "SMOVE", "SPOP", "SRAND",
                          "SSCAN", "SINTER", "SUNION", "SDIFF"}) {
    if (name.starts_with(set)) return {"t1", "t2"};
  }
  for (const char* any : {"DEL", "UNLINK", "EXISTS", "TYPE", "TOUCH", "EXPIRE", "PEXPIRE", "TTL",
                          "PTTL", "PERSIST", "RENAME", "COPY", "EXPIREAT", "PEXPIREAT"}) {
    if (name == any) return all_keys();
  }
  return {"s1", "s2", "s3"};
}

}  // namespace

ScriptWriter::ScriptWriter(const ScriptOptions& options)
    : RandomCommands(options.seed, options.start_ms), options_(options) {}

std::string ScriptWriter::key(const Words& words) {
  return options_.tag + (random_.chance(88) ? any(keys_for(words)) : any(all_keys()));
}

Words ScriptWriter::own_keys() const {
  Words keys = all_keys();
  for (std::string& key : keys) key.insert(0, options_.tag);
  return keys;
}

// Whether a Cluster answers it as one Redis does: docs/compatibility.md tells what it does not.
bool ScriptWriter::fits(const Words& words) const {
  if (options_.tag.empty()) return true;
  const Args args(words.begin(), words.end());
  const CommandSpec* spec = find_command(args);
  if (spec == nullptr) return true;
  if (spec->handling == Handling::keyspace || spec->handling == Handling::flush) return false;
  if (spec->name == "select") return false;
  std::vector<std::uint32_t> positions;
  if (!arity_fits(*spec, args.size()) || !find_keys(*spec, args, positions)) return true;
  return std::ranges::all_of(positions,
                             [&](auto at) { return args[at].starts_with(options_.tag); });
}

std::string ScriptWriter::value() {
  if (random_.chance(97)) return RandomCommands::value();
  std::string bytes(random_.below(random_.chance(5) ? 300'000 : 2'000), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random_.next());
  return bytes;
}

std::string ScriptWriter::time(char kind) {
  if (random_.chance(15)) {
    return any({"0", "-1", "abc", "9223372036854775807", "-9223372036854775808", "1.5", "",
                "-9223372036854775", " 10", "+5"});
  }
  // Each number of thousands of seconds once; 2^20 of them, in no order.
  const auto unique = static_cast<std::int64_t>(++times_ * 0x9e3b1 % (1u << 20)) + 2;
  const std::int64_t thousands_ms = unique * 1'000'000;
  const std::int64_t start_ms = options_.start_ms / 1'000'000 * 1'000'000;
  if (kind == 'T') return std::to_string(thousands_ms / 1000 + 50);
  if (kind == 'P')
    return std::to_string(thousands_ms + 50'000 + static_cast<int>(random_.below(999)));
  return std::to_string((start_ms + thousands_ms) / (kind == 'A' ? 1000 : 1));
}

Script ScriptWriter::groups(std::size_t steps) {
  Script script;
  for (std::size_t count = 0; count < steps; count += script.back().size()) {
    script.push_back(group());
  }
  return script;
}

Group ScriptWriter::group() {
  const auto kind = random_.below(100);
  if (kind < 8) return block();
  if (kind < 11 && !options_.faults && options_.tag.empty()) return keyspace();
  if (kind < 15) return connection();
  if (kind < 18) return big();
  if (kind < 21) return wrong();
  if (kind < 24) return full_scan();
  if (kind < 34 && options_.every_command) return only_redis();
  Group group;
  add_plain(group);
  return group;
}

// A random choice is judged by what there was to choose from; what SPOP leaves differs.
void ScriptWriter::add(Group& group, Words words) {
  if (!fits(words)) words = from("EXISTS K");
  std::string name = words[0];
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (options_.faults && name == "EVALSHA") words = from("EXISTS K");
  const bool pops = name == "SPOP";
  const std::string key = words.size() > 1 ? words[1] : "";
  if (pops || name == "SRANDMEMBER") group.push_back({{"SMEMBERS", key}});
  if (name == "HRANDFIELD") group.push_back({{"HGETALL", key}});
  if (name == "RANDOMKEY") group.push_back({{"KEYS", "*"}});
  group.push_back({std::move(words)});
  if (pops) group.push_back({{"DEL", key}});
}

void ScriptWriter::add_plain(Group& group) {
  add(group, next());
}

// A block with a removal that is lost on its way is answered as if the removal stood before it
// (docs/architecture.md, known limits).
void ScriptWriter::add_to_block(Group& group) {
  Group more;
  add_plain(more);
  for (const Step& step : more) {
    const Args args(step.words.begin(), step.words.end());
    const CommandSpec* spec = find_command(args);
    if (options_.faults && spec != nullptr && arity_fits(*spec, args.size()) &&
        (is_removal(*spec, args, options_.start_ms) || spec->handling == Handling::script)) {
      return;
    }
  }
  group.insert(group.end(), more.begin(), more.end());
}

Words ScriptWriter::from(const std::string& pattern) {
  Words words;
  fill(pattern, words);
  return words;
}

Group ScriptWriter::block() {
  Group group;
  if (random_.chance(25) && !options_.faults) {
    group.push_back({from(random_.chance(70) ? "WATCH K" : "WATCH K K K")});
    if (random_.chance(40)) {
      // Not a removal: docs/compatibility.md, "WATCH".
      group.push_back({from(any({"SET K V", "GET K", "HSET K F V", "SADD K F", "SET K V XX"}))});
    }
    if (random_.chance(10)) group.push_back({{"UNWATCH"}});
  }
  const bool opened = !random_.chance(5);
  if (opened) group.push_back({{"MULTI"}});
  for (auto left = random_.below(9); left > 0; --left) {
    const auto kind = random_.below(100);
    if (kind < 88) {
      add_to_block(group);
    } else if (kind < 90) {
      group.push_back({{"MULTI"}});
    } else if (kind < 92) {
      group.push_back({from(options_.faults && !opened ? "GET K" : "WATCH K")});
    } else if (kind < 95) {
      group.push_back({{any({"NOSUCHCOMMAND", "GET", "HSET"})}});
    } else if (kind < 97) {
      const std::string own = std::to_string(options_.first_db + static_cast<int>(left % 2));
      if (options_.tag.empty()) group.push_back({{"SELECT", any({own, own, own, "16", "x"})}});
    } else {
      group.push_back({{any({"PING", "UNWATCH"})}});
    }
  }
  group.push_back({{random_.chance(85) ? "EXEC" : "DISCARD"}});
  if (!opened) group.push_back({{"UNWATCH"}});
  return group;
}

Group ScriptWriter::keyspace() {
  Group group;
  switch (random_.below(6)) {
    case 0:
      add(group, {"KEYS", any({"*", "s*", "?1", "[hz]*", "", "nothing", "[^s]?"})});
      break;
    case 1:
      add(group, {"DBSIZE"});
      break;
    case 2:
      add(group, {"RANDOMKEY"});
      break;
    case 3:
      add(group, {"SCAN", "0", "COUNT", "100000", "TYPE",
                  any({"string", "hash", "set", "zset", "list", "none", "HASH"})});
      break;
    case 4:
      add(group, {"SCAN", any({"abc", "", "-1", "0", "1x", "18446744073709551616"}),
                  any({"COUNT", "MATCH", "TYPE", "FOO"}), any({"0", "-1", "abc", "", "10"})});
      break;
    default:
      add(group, {"SCAN", "0", "MATCH", any({"*", "s*", "?1"}), "COUNT", "100000"});
  }
  return group;
}

Group ScriptWriter::connection() {
  const std::string own = std::to_string(options_.first_db + static_cast<int>(random_.below(2)));
  switch (random_.below(options_.tag.empty() ? 9 : 7)) {
    case 0:
      return {{{"PING"}}};
    case 1:
      return {{{"PING", value()}}};
    case 2:
      return {{{"ECHO", value()}}};
    case 3:
      if (!options_.tag.empty()) return {{{"PING"}}};
      return {{{"SELECT", any({"16", "-1", "abc", "", "1.0", "99999999999"})}}};
    case 4:
      return {{from("EXISTS K"), {{"CLIENT", "REPLY", "SKIP"}, from("DEL K K")}}};
    case 5:
      return {{{"CLIENT", "REPLY", "ON"},
               {{"CLIENT", "REPLY", "OFF"}, from("DEL K"), from("SET K V")}}};
    case 6:
      return {{{"PUBLISH", "channel" + own, value()}}};
    default:
      return {{{"SELECT", own}}};
  }
}

Group ScriptWriter::big() {
  Words words = from(any({"SET K V", "APPEND K V", "HSET K", "SADD K", "ZADD K", "MSET K V K V"}));
  if (words[0] == "APPEND") words.back() = std::string(random_.below(20'000), 'y');
  if (words[0].size() == 4 && words[0] != "MSET") {
    for (auto left = random_.below(random_.chance(10) ? 600 : 60); left > 0; --left) {
      const std::string element = "e" + std::to_string(random_.below(300));
      if (words[0] == "ZADD") words.push_back(std::to_string(random_.below(20)));
      words.push_back(element);
      if (words[0] == "HSET") words.push_back(value());
    }
  }
  return {{std::move(words)}};
}

Group ScriptWriter::wrong() {
  static const Words names = {"GET",
                              "SET",
                              "SETEX",
                              "EXPIRE",
                              "EXISTS",
                              "UNLINK",
                              "HMSET",
                              "HGETALL",
                              "HMGET",
                              "SADD",
                              "HSET",
                              "SREM",
                              "SMEMBERS",
                              "MULTI",
                              "EXEC",
                              "DISCARD",
                              "PING",
                              "EVAL",
                              "EVALSHA",
                              "HGET",
                              "RENAME",
                              "ZADD",
                              "ZREM",
                              "HINCRBY",
                              "HDEL",
                              "PEXPIREAT",
                              "ZRANGE",
                              "PUBLISH",
                              "PSETEX",
                              "PERSIST",
                              "APPEND",
                              "GETEX",
                              "SETNX",
                              "TTL",
                              "HKEYS",
                              "ZCOUNT",
                              "ZREMRANGEBYSCORE",
                              "GETDEL",
                              "PTTL",
                              "STRLEN",
                              "GETSET",
                              "INCR",
                              "SELECT",
                              "SCAN",
                              "MGET",
                              "KEYS",
                              "WATCH",
                              "UNWATCH",
                              "DBSIZE",
                              "CLIENT REPLY",
                              "nosuch",
                              "",
                              "CLIENT NONE",
                              "ECHO",
                              "SCRIPT NONE"};
  Words words = from(any(names));
  if (words.empty()) words.push_back("");
  for (auto left = random_.below(4); left > 0; --left) words.push_back(any(own_keys()));
  // A good one is not what is wanted here, nor one that keeps replies back or is random.
  if (!fits(words)) return {{from("GET K")}};
  const bool good_exec = words[0] == "EXEC" || words[0] == "DISCARD" || words[0] == "UNWATCH";
  if (good_exec || words[0] == "MULTI") return {{std::move(words)}, {{"DISCARD"}}};
  const bool risky = words[0] == "WATCH" || words[0] == "EVALSHA";
  if (risky && options_.faults) return {{{"UNWATCH"}}};
  if (words[0] == "WATCH") return {{std::move(words)}, {{"UNWATCH"}}};
  return {{std::move(words)}};
}

Group ScriptWriter::full_scan() {
  return {{from(any({"SSCAN K 0 COUNT 100000", "HSCAN K 0 COUNT 100000", "ZSCAN K 0 COUNT 100000",
                     "HSCAN K 0 MATCH G COUNT 100000", "ZSCAN K 0 COUNT 100000 MATCH G"}))}};
}

Group ScriptWriter::only_redis() {
  static const Words patterns = {"RPUSH K V V",
                                 "LPUSH K V",
                                 "LPOP K",
                                 "LRANGE K N N",
                                 "LLEN K",
                                 "RPOPLPUSH K K",
                                 "LSET K N V",
                                 "LTRIM K N N",
                                 "SETBIT K 7 Z",
                                 "BITCOUNT K",
                                 "OBJECT ENCODING K",
                                 "XADD K 1-1 F V",
                                 "XRANGE K - +",
                                 "XLEN K",
                                 "PFADD K V",
                                 "PFCOUNT K",
                                 "GEOADD K 1 2 F",
                                 "ZUNIONSTORE K 2 K K",
                                 "ZINTER 2 K K WITHSCORES",
                                 "LINSERT K BEFORE V V",
                                 "EVAL x 0",
                                 "FLUSHDB",
                                 "COPY K K DB 3",
                                 "LMOVE K K LEFT RIGHT",
                                 "ZDIFF 2 K K",
                                 "SINTERCARD 2 K K",
                                 "ZMPOP 2 K K MIN",
                                 "LMPOP 2 K K LEFT",
                                 "LPOS K V",
                                 "BITFIELD K INCRBY u8 0 C"};
  Words words = from(any(patterns));
  if (words[0] == "EVAL") {
    words = {"EVAL", "redis.call('rpush', KEYS[1], ARGV[1]) return redis.call('type', KEYS[1])",
             "1", key({}), value()};
  }
  if (words[0] == "FLUSHDB" && random_.chance(80)) words = from("TYPE K");
  if (!fits(words) || (words[0] == "COPY" && !options_.tag.empty())) words = from("TYPE K");
  for (std::string& word : words) {
    if (word == "3") word = std::to_string(options_.first_db + 1);
  }
  return {{std::move(words)}};
}

Group ScriptWriter::prologue(int protocol) const {
  Group group{{{"HELLO", std::to_string(protocol)}}};
  for (const auto& script : testing::script_texts())
    group.push_back({{"SCRIPT", "LOAD", script.text}});
  Words del = own_keys();
  del.insert(del.begin(), "DEL");
  for (const int db : {options_.first_db + 1, options_.first_db}) {
    if (options_.tag.empty()) group.push_back({{"SELECT", std::to_string(db)}});
    group.push_back({del});
  }
  return group;
}

Group ScriptWriter::state() const {
  Group group;
  const bool one_database = !options_.tag.empty();
  for (const int db : {options_.first_db, options_.first_db + 1}) {
    if (one_database && db != options_.first_db) continue;
    if (!one_database) group.push_back({{"SELECT", std::to_string(db)}});
    if (!options_.faults && !one_database) group.push_back({{"KEYS", "*"}});
    for (const std::string& key : own_keys()) {
      group.push_back({{"TYPE", key}});
      group.push_back({{"PEXPIRETIME", key}});
      group.push_back({{"GET", key}});
      group.push_back({{"HGETALL", key}});
      group.push_back({{"SMEMBERS", key}});
      group.push_back({{"ZRANGE", key, "0", "-1", "WITHSCORES"}});
    }
  }
  return group;
}

}  // namespace stayd::differential
