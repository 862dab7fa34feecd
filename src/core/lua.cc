#include "core/lua.h"

#include <array>
#include <charconv>
#include <cstdlib>

#include "core/side_keys.h"
#include "session/scripts.h"

namespace stayd {
namespace {

constexpr std::string_view kGuard =
    "redis.setresp(3)\n"
    "if redis.call('exists',KEYS[1])==0 then return redis.error_reply('STAYDMISS no such key') "
    "end\n"
    "local r=redis.pcall(unpack(ARGV))\n"
    // Lua's numbers are doubles: a counter beyond 2^53 is told as its text, in a status.
    "if type(r)=='number' and math.abs(r)>=9007199254740992 then\n"
    "  if string.lower(ARGV[1])=='hincrby' then return {ok=redis.call('hget',KEYS[1],ARGV[3])} "
    "end\n"
    "  return {ok=redis.call('get',KEYS[1])}\n"
    "end\n"
    "return r";

constexpr std::string_view kHeartbeat =
    "local v=redis.call('get',KEYS[1])\n"
    "if (v or '')~=ARGV[1] then return v end\n"
    "redis.call('set',KEYS[1],ARGV[2],'PX',ARGV[3])\n"
    "return 1";

constexpr std::string_view kRepairIfLeased =
    "if redis.call('get',KEYS[2])~=ARGV[1] then return 0 end\n";

// The lease tells what the key held when it was taken.
constexpr std::string_view kRepairIfUnchanged =
    "local d=redis.call('dump',KEYS[1])\n"
    "d=string.match(ARGV[1],'^[^:]*')..':'..(d and redis.sha1hex(d) or '')\n"
    "if d~=ARGV[1] or redis.call('get',KEYS[2])~=d then return 0 end\n"
    "if ARGV[2]=='none' then redis.call('unlink',KEYS[1],KEYS[2]) return 1 end\n";

constexpr std::string_view kLease =
    "local d=redis.call('dump',KEYS[1])\n"
    "d=d and redis.sha1hex(d) or ''\n"
    "local l=redis.call('get',KEYS[2])\n"
    "if l and string.sub(l,1,#ARGV[3])~=ARGV[3] then return false end\n"
    "redis.call('set',KEYS[2],ARGV[3]..ARGV[1]..':'..d,'PX',ARGV[2])\n"
    "return d";

constexpr std::string_view kRepair =
    "redis.call('del',KEYS[2])\n"
    "local key,kind=KEYS[1],ARGV[2]\n"
    "if ARGV[4]=='1' and redis.call('exists',key)==1 then return 2 end\n"
    "if kind=='string' then redis.call('set',key,ARGV[5])\n"
    "elseif kind=='dump' then redis.call('restore',key,0,ARGV[5],'REPLACE')\n"
    "else\n"
    "  redis.call('unlink',key)\n"
    "  local i=5\n"
    "  while i<=#ARGV do\n"
    "    local last=math.min(i+3999,#ARGV)\n"
    "    redis.call(kind,key,unpack(ARGV,i,last))\n"
    "    i=last+1\n"
    "  end\n"
    "end\n"
    "if ARGV[3]~='0' then redis.call('pexpireat',key,ARGV[3]) end\n"
    "return 1";

// PEXPIRETIME is new in Redis 7.0; before it, the expiry comes from PTTL and TIME in one script
// run.
constexpr std::string_view kReadBack =
    "local key=KEYS[1]\n"
    "local kind=redis.call('type',key).ok\n"
    "if kind=='none' then return {kind} end\n"
    "local at=redis.pcall('pexpiretime',key)\n"
    "if type(at)=='table' then\n"
    "  at=redis.call('pttl',key)\n"
    "  if at>=0 then local t=redis.call('time') at=at+t[1]*1000+math.floor(t[2]/1000) end\n"
    "end\n"
    "at=math.min(at,9007199254740992)\n"  // what a double tells exactly: the year 287396
    "local value\n"
    "if kind=='string' then value=redis.call('get',key)\n"
    "elseif kind=='hash' then value=redis.call('hgetall',key)\n"
    "elseif kind=='set' then value=redis.call('smembers',key)\n"
    "elseif kind=='zset' then value=redis.call('zrange',key,0,-1,'withscores')\n"
    "else value=redis.call('dump',key) end\n"
    "return {kind,at,value}";

struct Script {
  explicit Script(std::string t) : text(std::move(t)), sha1(sha1_hex(text)) {}
  std::string text;
  std::string sha1;
};

std::string repair_if(std::string_view condition) {
  return std::string(condition).append(kRepair);
}

const Script& script(std::size_t index) {
  static const std::array<Script, 6> kScripts{
      Script(std::string(kGuard)),        Script(std::string(kHeartbeat)),
      Script(repair_if(kRepairIfLeased)), Script(std::string(kReadBack)),
      Script(std::string(kLease)),        Script(repair_if(kRepairIfUnchanged))};
  return kScripts[index];
}

void append_header(std::string& out, std::size_t elements) {
  char buffer[24];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, elements).ptr;
  out.push_back('*');
  out.append(buffer, end);
  out.append("\r\n");
}

void append_argument(std::string& out, std::string_view bytes) {
  char buffer[24];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, bytes.size()).ptr;
  out.push_back('$');
  out.append(buffer, end);
  out.append("\r\n");
  out.append(bytes);
  out.append("\r\n");
}

SetValue parse_set(const ReplyView& reply) {
  SetValue value;
  auto elements = reply.elements();
  ReplyView element;
  while (elements.next(element)) value.emplace(element.text());
  return value;
}

HashValue parse_hash(const ReplyView& reply) {
  HashValue value;
  auto elements = reply.elements();
  ReplyView field;
  ReplyView content;
  while (elements.next(field) && elements.next(content))
    value.emplace(field.text(), content.text());
  return value;
}

SortedSetValue parse_zset(const ReplyView& reply) {
  SortedSetValue value;
  auto elements = reply.elements();
  ReplyView member;
  ReplyView score;
  while (elements.next(member) && elements.next(score)) {
    value.set(member.text(), std::strtod(std::string(score.text()).c_str(), nullptr));
  }
  return value;
}

}  // namespace

int append_script_loads(std::string& out, bool of_fleet) {
  const std::size_t count = of_fleet ? 6 : 4;
  for (std::size_t i = 0; i < count; ++i) append_request(out, {"SCRIPT", "LOAD", script(i).text});
  return static_cast<int>(count);
}

void append_lease(std::string& out, std::string_view key, std::string_view lease,
                  std::string_view token, std::string_view owner, std::int64_t ttl_ms) {
  append_request(
      out, {"EVALSHA", script(4).sha1, "2", key, lease, token, std::to_string(ttl_ms), owner});
}

void append_guarded(std::string& out, std::string_view key, const Args& args) {
  append_header(out, args.size() + 4);
  append_argument(out, "EVALSHA");
  append_argument(out, script(0).sha1);
  append_argument(out, "1");
  append_argument(out, key);
  for (const auto arg : args) append_argument(out, arg);
}

void append_heartbeat(std::string& out, std::string_view key, std::string_view expected,
                      std::string_view next) {
  append_request(
      out, {"EVALSHA", script(1).sha1, "1", key, expected, next, std::to_string(kCanaryTtlMs)});
}

void append_repair(std::string& out, std::string_view key, std::string_view lease,
                   std::string_view token, const Record& record, std::int64_t expires_at_ms,
                   bool only_if_absent, bool if_unchanged) {
  std::string_view kind = "string";
  std::size_t payload = 1;
  switch (record.type()) {
    case ValueType::hash:
      kind = "hset";
      payload = 2 * std::get<HashValue>(record.value).size();
      break;
    case ValueType::set:
      kind = "sadd";
      payload = std::get<SetValue>(record.value).size();
      break;
    case ValueType::zset:
      kind = "zadd";
      payload = 2 * std::get<SortedSetValue>(record.value).size();
      break;
    case ValueType::opaque:
      kind = "dump";
      break;
    case ValueType::none:
      kind = "none";
      break;
    default:
      break;
  }
  append_header(out, 9 + payload);
  append_argument(out, "EVALSHA");
  append_argument(out, script(if_unchanged ? 5 : 2).sha1);
  append_argument(out, "2");
  append_argument(out, key);
  append_argument(out, lease);
  append_argument(out, token);
  append_argument(out, kind);
  append_argument(out, std::to_string(expires_at_ms));
  append_argument(out, only_if_absent ? "1" : "0");
  switch (record.type()) {
    case ValueType::hash:
      for (const auto& [field, value] : std::get<HashValue>(record.value)) {
        append_argument(out, field);
        append_argument(out, value);
      }
      break;
    case ValueType::set:
      for (const auto& member : std::get<SetValue>(record.value)) append_argument(out, member);
      break;
    case ValueType::zset:
      for (const auto& [score, member] : std::get<SortedSetValue>(record.value).ordered()) {
        append_argument(out, format_double(score));
        append_argument(out, member);
      }
      break;
    case ValueType::opaque:
      append_argument(out, std::get<OpaqueValue>(record.value).dump);
      break;
    case ValueType::string:
      append_argument(out, std::get<std::string>(record.value));
      break;
    case ValueType::none:
      append_argument(out, "");
      break;
  }
}

void append_read_back(std::string& out, std::string_view key) {
  append_request(out, {"EVALSHA", script(3).sha1, "1", key});
}

std::optional<Record> parse_read_back(const ReplyView& reply, std::int64_t redis_offset_ms) {
  if (reply.type() != ReplyType::array) return std::nullopt;
  auto elements = reply.elements();
  ReplyView kind;
  ReplyView expiry;
  ReplyView value;
  if (!elements.next(kind)) return std::nullopt;
  Record record;
  if (kind.text() == "none") return record;
  if (!elements.next(expiry) || !elements.next(value)) return std::nullopt;
  record.expires_at_ms = std::max<std::int64_t>(0, expiry.integer().value_or(0));
  if (record.expires_at_ms != 0) record.expires_at_ms -= redis_offset_ms;
  if (kind.text() == "string") {
    record.value = std::string(value.text());
  } else if (kind.text() == "hash") {
    record.value = parse_hash(value);
  } else if (kind.text() == "set") {
    record.value = parse_set(value);
  } else if (kind.text() == "zset") {
    record.value = parse_zset(value);
  } else {
    record.value = OpaqueValue{std::string(value.text())};
  }
  return record;
}

}  // namespace stayd
