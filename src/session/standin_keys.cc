// Keys of any type: DEL, EXISTS, the EXPIRE family, RENAME, COPY.
#include <algorithm>
#include <unordered_set>

#include "session/expiry.h"
#include "session/standin_context.h"

namespace stayd::standin {
namespace {

// Every key named gets a tombstone, whatever is known of it here: Redis may hold it (R4).
void del(Context& c) {
  std::int64_t removed = 0;
  std::unordered_set<std::string_view> done;
  for (std::size_t i = 1; i < c.argc(); ++i) {
    if (c.argc() > 2 && !done.insert(c.arg(i)).second) continue;
    Record& record = c.record(c.arg(i));
    if (record.exists()) ++removed;
    c.remove(c.arg(i), record);
  }
  write_integer(c.out, removed);
}

void exists(Context& c) {
  std::int64_t found = 0;
  for (std::size_t i = 1; i < c.argc(); ++i) {
    if (c.record(c.arg(i)).exists()) ++found;
  }
  write_integer(c.out, found);
}

// A DUMP payload begins with the type byte of the RDB format (rdb.h of Redis 7.0).
std::string_view opaque_type(const std::string& dump) {
  switch (dump.empty() ? 0 : dump[0]) {
    case 1:
    case 10:
    case 14:
    case 18:
      return "list";
    case 15:
    case 19:
    case 21:
      return "stream";
    default:
      return {};
  }
}

void type(Context& c) {
  const Record& record = c.record(c.arg(1));
  switch (record.type()) {
    case ValueType::none:
      return write_simple(c.out, "none");
    case ValueType::string:
      return write_simple(c.out, "string");
    case ValueType::hash:
      return write_simple(c.out, "hash");
    case ValueType::set:
      return write_simple(c.out, "set");
    case ValueType::zset:
      return write_simple(c.out, "zset");
    case ValueType::opaque:
      break;
  }
  const std::string_view name = opaque_type(std::get<OpaqueValue>(record.value).dump);
  if (!name.empty()) return write_simple(c.out, name);
  c.error("ERR stayd: this type is not available while Redis is out");
}

void expire(Context& c, TimeUnit unit) {
  ExpireConditions conditions;
  const std::string problem = parse_expire_conditions(c.args(), conditions);
  if (!problem.empty()) return c.error(problem);
  std::int64_t at_ms = 0;
  switch (expire_time(c.arg(2), unit, c.now(), at_ms)) {
    case ExpiryError::none:
      break;
    case ExpiryError::not_integer:
      return c.error(kNotInteger);
    case ExpiryError::invalid:
      return c.error_expiry();
  }
  const std::string_view key = c.arg(1);
  Record& record = c.record(key);
  const bool existed = record.exists();
  const bool past = at_ms <= c.now();
  if (!existed || !conditions.allow(record.expires_at_ms, at_ms)) {
    if (!existed && past && !conditions.any()) c.tomb(key);
    return write_integer(c.out, 0);
  }
  if (past) {
    c.remove(key, record);
  } else {
    record.expires_at_ms = at_ms;
    c.set_expiry(key, at_ms);
  }
  write_integer(c.out, 1);
}

void expire_seconds(Context& c) {
  expire(c, {.seconds = true});
}
void expire_ms(Context& c) {
  expire(c, {});
}
void expireat_seconds(Context& c) {
  expire(c, {.seconds = true, .absolute = true});
}
void expireat_ms(Context& c) {
  expire(c, {.seconds = false, .absolute = true});
}

void time_left(Context& c, TimeUnit unit) {
  const Record& record = c.record(c.arg(1));
  if (!record.exists()) return write_integer(c.out, -2);
  if (record.expires_at_ms == 0) return write_integer(c.out, -1);
  const std::int64_t ms = record.expires_at_ms - (unit.absolute ? 0 : c.now());
  write_integer(c.out, unit.seconds ? ms / 1000 + (ms % 1000 + 500) / 1000 : ms);
}

void ttl(Context& c) {
  time_left(c, {.seconds = true});
}
void pttl(Context& c) {
  time_left(c, {});
}
void expiretime(Context& c) {
  time_left(c, {.seconds = true, .absolute = true});
}
void pexpiretime(Context& c) {
  time_left(c, {.seconds = false, .absolute = true});
}

void persist(Context& c) {
  Record& record = c.record(c.arg(1));
  if (record.expires_at_ms == 0) return write_integer(c.out, 0);
  record.expires_at_ms = 0;
  c.set_expiry(c.arg(1), 0);
  write_integer(c.out, 1);
}

// False: the reply is written.
bool move_key(Context& c, bool only_if_new) {
  Record& from = c.record(c.arg(1));
  if (!from.exists()) {
    c.error("ERR no such key");
    return false;
  }
  if (c.arg(1) == c.arg(2)) return !only_if_new;
  Record& to = c.record(c.arg(2));
  if (only_if_new && to.exists()) return false;
  to = std::move(from);
  c.put(c.arg(2), to);
  c.remove(c.arg(1), from);
  return true;
}

void rename(Context& c) {
  if (move_key(c, false)) write_simple(c.out, "OK");
}

void renamenx(Context& c) {
  const std::size_t before = c.out.size();
  const bool moved = move_key(c, true);
  if (c.out.size() == before) write_integer(c.out, moved ? 1 : 0);
}

void copy(Context& c) {
  bool replace = false;
  for (std::size_t i = 3; i < c.argc(); ++i) {
    if (!equals_ignore_case(c.arg(i), "replace")) return c.error(kSyntaxError);
    replace = true;
  }
  if (c.arg(1) == c.arg(2)) {
    return c.error("ERR source and destination objects are the same");
  }
  const Record& from = c.record(c.arg(1));
  if (!from.exists()) return write_integer(c.out, 0);
  Record& to = c.record(c.arg(2));
  if (to.exists() && !replace) return write_integer(c.out, 0);
  to = from;
  c.put(c.arg(2), to);
  write_integer(c.out, 1);
}

constexpr Command kCommands[] = {
    {"del", del},
    {"unlink", del},
    {"exists", exists},
    {"touch", exists},
    {"type", type},
    {"expire", expire_seconds},
    {"pexpire", expire_ms},
    {"expireat", expireat_seconds},
    {"pexpireat", expireat_ms},
    {"ttl", ttl},
    {"pttl", pttl},
    {"expiretime", expiretime},
    {"pexpiretime", pexpiretime},
    {"persist", persist},
    {"rename", rename},
    {"renamenx", renamenx},
    {"copy", copy},
};

}  // namespace

std::span<const Command> key_commands() {
  return kCommands;
}

}  // namespace stayd::standin
