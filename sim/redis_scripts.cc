// The scripts that stayd runs in Redis, executed natively. They are known by the texts that
// core/lua.cc loads at the start of a connection, in its order; a changed text is noticed here.
#include <array>
#include <charconv>

#include "base/error.h"
#include "core/lua.h"
#include "resp/reply.h"
#include "session/scripts.h"
#include "session/standin.h"
#include "sim/redis_model.h"
#include "store/record_codec.h"

namespace stayd::sim {

namespace {

enum Ours { kGuard, kHeartbeat, kRepair, kReadBack, kLease, kRepairIfUnchanged };

// SHA1 of our scripts, by their place in append_script_loads.
const std::array<std::string, 6>& our_scripts() {
  static const std::array<std::string, 6> kShas = [] {
    std::array<std::string, 6> shas;
    std::string loads;
    STAYD_ASSERT(append_script_loads(loads, true) == 6);
    RequestParser parser;
    Args args;
    std::size_t used = 0;
    for (auto& sha : shas) {
      const auto outcome =
          parser.parse(std::string_view(loads).substr(used), RequestLimits{}, args);
      STAYD_ASSERT(outcome.status == RequestParser::Status::ready && args.size() == 3);
      used += outcome.consumed;
      sha = sha1_hex(args[2]);
    }
    return shas;
  }();
  return kShas;
}

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

void RedisModel::script_load(std::string_view text, std::string& out) {
  const std::string sha = sha1_hex(text);
  int index = -1;
  for (std::size_t i = 0; i < our_scripts().size(); ++i) {
    if (our_scripts()[i] == sha) index = static_cast<int>(i);
  }
  scripts_[sha] = index;
  write_bulk(out, sha);
}

// False: a script that the stand-in knows, and that has been loaded.
bool RedisModel::run_script(Peer& peer, const Args& args, std::string& out) {
  const auto it = scripts_.find(args[1]);
  if (it == scripts_.end()) {
    write_error(out, "NOSCRIPT No matching script. Please use EVAL.");
    return true;
  }
  switch (it->second) {
    case kGuard:
      guard(peer, args, out);
      return true;
    case kHeartbeat:
      heartbeat(peer, args, out);
      return true;
    case kRepair:
    case kRepairIfUnchanged:
      repair(peer, args, out, it->second == kRepairIfUnchanged);
      return true;
    case kLease:
      lease(peer, args, out);
      return true;
    case kReadBack:
      read_back(peer, args, out);
      return true;
    default:
      return false;
  }
}

void RedisModel::guard(Peer& peer, const Args& args, std::string& out) {
  if (find(peer.db, args[3]) == nullptr) return write_error(out, "STAYDMISS no such key");
  const Args inner(args.begin() + 4, args.end());
  const CommandSpec* spec = find_command(inner);
  STAYD_ASSERT(spec != nullptr);
  if (spec->writes() && write_refused((spec->flags & kCmdDenyOom) != 0, out)) return;
  run(peer, *spec, inner, out);
}

void RedisModel::heartbeat(Peer& peer, const Args& args, std::string& out) {
  const Record* found = find(peer.db, args[3]);
  const std::string value = found == nullptr ? "" : std::get<std::string>(found->value);
  if (value != args[4]) {
    if (found == nullptr) return write_null(out);
    return write_bulk(out, value);
  }
  if (write_refused(true, out)) return;
  Record next;
  next.value = std::string(args[5]);
  next.expires_at_ms = wall_ms() + number(args[6]);
  set(full_key(peer.db, args[3]), std::move(next));
  write_integer(out, 1);
}

// Not what DUMP would say, but as different for different values.
std::string RedisModel::digest(int db, std::string_view key) {
  const Record* found = find(db, key);
  if (found == nullptr) return "";
  Record bare = *found;
  bare.expires_at_ms = 0;
  return sha1_hex(encode_value(bare));
}

void RedisModel::lease(Peer& peer, const Args& args, std::string& out) {
  if (write_refused(true, out)) return;
  const Record* other = find(peer.db, args[4]);
  if (other != nullptr && !std::get<std::string>(other->value).starts_with(args[7])) {
    return write_null(out);
  }
  const std::string held = digest(peer.db, args[3]);
  Record record;
  record.value = std::string(args[7]).append(args[5]) + ":" + held;
  record.expires_at_ms = wall_ms() + number(args[6]);
  set(full_key(peer.db, args[4]), std::move(record));
  write_bulk(out, held);
}

void RedisModel::repair(Peer& peer, const Args& args, std::string& out, bool if_unchanged) {
  const auto key = args[3];
  const auto token = args[5];
  if (if_unchanged && token.substr(token.find(':') + 1) != digest(peer.db, key)) {
    return write_integer(out, 0);
  }
  const Record* lease = find(peer.db, args[4]);
  if (lease == nullptr || std::get<std::string>(lease->value) != args[5]) {
    return write_integer(out, 0);
  }
  if (write_refused(false, out)) return;
  set(full_key(peer.db, args[4]), std::nullopt);
  if (args[8] == "1" && find(peer.db, key) != nullptr) return write_integer(out, 2);
  // Redis checks memory once, before the script's first write; DEL may run, what follows then may.
  Record record;
  const auto kind = args[6];
  if (kind == "none") {
    set(full_key(peer.db, key), std::nullopt);
    return write_integer(out, 1);
  }
  if (kind == "string") {
    record.value = std::string(args[9]);
  } else if (kind == "hset") {
    HashValue hash;
    for (std::size_t i = 9; i + 1 < args.size(); i += 2) hash.emplace(args[i], args[i + 1]);
    record.value = std::move(hash);
  } else if (kind == "sadd") {
    record.value = SetValue(args.begin() + 9, args.end());
  } else {
    STAYD_ASSERT(kind == "zadd");
    SortedSetValue zset;
    for (std::size_t i = 9; i + 1 < args.size(); i += 2) {
      zset.set(args[i + 1], std::strtod(std::string(args[i]).c_str(), nullptr));
    }
    record.value = std::move(zset);
  }
  record.expires_at_ms = number(args[7]);
  if (record.expired(wall_ms())) {
    set(full_key(peer.db, key), std::nullopt);
  } else {
    set(full_key(peer.db, key), std::move(record));
  }
  write_integer(out, 1);
}

void RedisModel::read_back(Peer& peer, const Args& args, std::string& out) {
  static constexpr std::string_view kNames[] = {"none", "string", "hash", "set", "zset", "list"};
  const Record* found = find(peer.db, args[3]);
  const auto type = found == nullptr ? ValueType::none : found->type();
  if (type == ValueType::none) {
    write_array(out, 1);
    return write_bulk(out, "none");
  }
  write_array(out, 3);
  write_bulk(out, kNames[static_cast<std::size_t>(type)]);
  write_integer(out, found->expires_at_ms == 0 ? -1 : found->expires_at_ms);
  if (type == ValueType::string) return write_bulk(out, std::get<std::string>(found->value));
  if (const auto* hash = std::get_if<HashValue>(&found->value)) {
    write_array(out, 2 * hash->size());
    for (const auto& [field, value] : *hash) {
      write_bulk(out, field);
      write_bulk(out, value);
    }
  } else if (const auto* set_value = std::get_if<SetValue>(&found->value)) {
    write_array(out, set_value->size());
    for (const auto& member : *set_value) write_bulk(out, member);
  } else if (const auto* zset = std::get_if<SortedSetValue>(&found->value)) {
    write_array(out, 2 * zset->size());
    for (const auto& [score, member] : zset->ordered()) {
      write_bulk(out, member);
      write_bulk(out, format_double(score));
    }
  } else {
    write_bulk(out, std::get<OpaqueValue>(found->value).dump);
  }
}

}  // namespace stayd::sim
