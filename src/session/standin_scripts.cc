// EVAL and EVALSHA of the known scripts (scripts.h), executed natively. An error that redis.call
// raises carries the script's SHA1 and line, as Redis' does.
#include <limits>
#include <string>

#include "base/error.h"
#include "session/expiry.h"
#include "session/scripts.h"
#include "session/standin_context.h"

namespace stayd::standin {
namespace {

struct Script {
  std::string sha1;
  std::size_t keys = 0;
  std::size_t argvs = 0;

  std::string_view key(Context& c, std::size_t i) const { return c.arg(3 + i); }
  // ARGV[i + 1]
  std::string_view argv(Context& c, std::size_t i) const { return c.arg(3 + keys + i); }
};

void raise(Context& c, const Script& script, std::string_view error, int line) {
  std::string text(error);
  text += " script: " + script.sha1 + ", on @user_script:" + std::to_string(line) + ".";
  c.error(text);
}

// The time for PEXPIRE and its kin. False: the error is raised.
bool read_time(Context& c, const Script& script, std::string_view text, TimeUnit unit, int line,
               std::int64_t& at_ms) {
  switch (expire_time(text, unit, c.now(), at_ms)) {
    case ExpiryError::none:
      return true;
    case ExpiryError::not_integer:
      raise(c, script, kNotInteger, line);
      return false;
    case ExpiryError::invalid:
      break;
  }
  std::string command = unit.seconds ? "expire" : "pexpire";
  if (unit.absolute) command += "at";
  raise(c, script, "ERR invalid expire time in '" + command + "' command", line);
  return false;
}

void expire_at(Context& c, std::string_view key, Record& record, std::int64_t at_ms) {
  if (at_ms <= c.now()) return c.remove(key, record);
  record.expires_at_ms = at_ms;
  c.set_expiry(key, at_ms);
}

// GET KEYS[1] == ARGV[1]. False when not, or when an error was raised (`c.out` has grown).
bool compare(Context& c, const Script& script, int line, Record& record) {
  const auto* value = std::get_if<std::string>(&record.value);
  if (value == nullptr && record.exists()) {
    raise(c, script, kWrongType, line);
    return false;
  }
  if (value != nullptr && script.argvs > 0 && *value == script.argv(c, 0)) return true;
  write_integer(c.out, 0);
  return false;
}

void compare_and_delete(Context& c, const Script& script) {
  // redis-py's text begins with an empty line.
  const int line = script.sha1.starts_with("c3f8721c") ? 2 : 1;
  Record& record = c.record(script.key(c, 0));
  if (!compare(c, script, line, record)) return;
  c.remove(script.key(c, 0), record);
  write_integer(c.out, 1);
}

void compare_and_expire(Context& c, const Script& script, bool extend) {
  Record& record = c.record(script.key(c, 0));
  if (!compare(c, script, 2, record)) return;
  if (extend && record.expires_at_ms == 0) return write_integer(c.out, 0);
  std::int64_t at_ms = 0;
  if (!read_time(c, script, script.argv(c, 1), {}, extend ? 18 : 6, at_ms)) return;
  const std::int64_t left_ms = record.expires_at_ms - c.now();
  if (extend && script.argv(c, 2) == "0" && __builtin_add_overflow(at_ms, left_ms, &at_ms)) {
    return raise(c, script, kNotInteger, 18);
  }
  expire_at(c, script.key(c, 0), record, at_ms);
  write_integer(c.out, 1);
}

// Lua's numbers are doubles; what does not fit 64 bits again becomes the lowest integer (x86-64).
std::int64_t through_lua(std::int64_t value) {
  constexpr double kTwoTo63 = 9223372036854775808.0;
  const auto number = static_cast<double>(value);
  return number >= kTwoTo63 ? std::numeric_limits<std::int64_t>::min()
                            : static_cast<std::int64_t>(number);
}

void incr_with_expiry(Context& c, const Script& script) {
  const std::string_view key = script.key(c, 0);
  Record& record = c.record(key);
  const bool existed = record.exists();
  auto* text = std::get_if<std::string>(&record.value);
  std::int64_t value = 0;
  if (existed && text == nullptr) return raise(c, script, kWrongType, 2);
  if (existed && !parse_integer(*text, value)) return raise(c, script, kNotInteger, 2);
  if (__builtin_add_overflow(value, 1, &value)) return raise(c, script, kIncrOverflow, 2);
  record.value.emplace<std::string>(std::to_string(value));
  std::int64_t at_ms = record.expires_at_ms;
  bool good = true;
  if (value == 1) good = read_time(c, script, script.argv(c, 0), {.seconds = true}, 4, at_ms);
  if (good && value == 1 && at_ms <= c.now()) {
    c.remove(key, record);
  } else if (good && value == 1) {
    record.expires_at_ms = at_ms;
    c.put(key, record);
  } else if (existed) {
    c.set_value(key, std::get<std::string>(record.value));
  } else {
    c.put(key, record);
  }
  if (good) write_integer(c.out, through_lua(value));
}

void get_and_delete(Context& c, const Script& script) {
  Record& record = c.record(script.key(c, 0));
  const auto* value = std::get_if<std::string>(&record.value);
  if (value == nullptr && record.exists()) return raise(c, script, kWrongType, 2);
  if (value == nullptr) {
    write_null(c.out);
  } else {
    write_bulk(c.out, *value);
  }
  c.remove(script.key(c, 0), record);
}

// A key named again changes nothing more.
bool named_before(Context& c, const Script& script, std::size_t i) {
  for (std::size_t j = 0; j < i; ++j) {
    if (script.key(c, j) == script.key(c, i)) return true;
  }
  return false;
}

void expire_all(Context& c, const Script& script, TimeUnit unit) {
  ExpireConditions conditions;
  if (script.argvs > 1 && !script.argv(c, 1).empty()) {
    const Args words{"", "", "", script.argv(c, 1)};
    const std::string problem = parse_expire_conditions(words, conditions);
    if (!problem.empty()) return raise(c, script, problem, 1);
  }
  std::int64_t at_ms = 0;
  if (!read_time(c, script, script.argv(c, 0), unit, 1, at_ms)) return;
  std::int64_t result = 0;
  for (std::size_t i = 0; i < script.keys; ++i) {
    Record& record = c.record(script.key(c, i));
    if (named_before(c, script, i)) continue;
    if (!record.exists() || !conditions.allow(record.expires_at_ms, at_ms)) continue;
    expire_at(c, script.key(c, i), record, at_ms);
    result = 1;
  }
  write_integer(c.out, result);
}

void persist_all(Context& c, const Script& script) {
  std::int64_t result = 0;
  for (std::size_t i = 0; i < script.keys; ++i) {
    Record& record = c.record(script.key(c, i));
    if (record.expires_at_ms == 0 || named_before(c, script, i)) continue;
    record.expires_at_ms = 0;
    c.set_expiry(script.key(c, i), 0);
    result = 1;
  }
  write_integer(c.out, result);
}

void hash_set_with_expiry(Context& c, const Script& script) {
  const std::string_view key = script.key(c, 0);
  Record& record = c.record(key);
  if (record.exists() && record.type() != ValueType::hash) return raise(c, script, kWrongType, 2);
  if (!record.exists()) record.value.emplace<HashValue>();
  auto& hash = std::get<HashValue>(record.value);
  hash.insert_or_assign("absexp", std::string(script.argv(c, 0)));
  hash.insert_or_assign("sldexp", std::string(script.argv(c, 1)));
  hash.insert_or_assign("data", std::string(script.argv(c, 3)));
  std::int64_t at_ms = record.expires_at_ms;
  const bool expires = script.argv(c, 2) != "-1";
  const bool good =
      !expires || read_time(c, script, script.argv(c, 2), {.seconds = true}, 4, at_ms);
  if (good && expires && at_ms <= c.now()) {
    c.remove(key, record);
  } else {
    record.expires_at_ms = at_ms;
    c.put(key, record);
  }
  if (good) write_integer(c.out, 1);
}

std::size_t argvs_needed(KnownScript script) {
  switch (script) {
    case KnownScript::compare_and_expire:
      return 2;
    case KnownScript::compare_and_extend:
      return 3;
    case KnownScript::hash_set_with_expiry:
      return 4;
    case KnownScript::incr_with_expiry:
    case KnownScript::expire_all:
    case KnownScript::expire_at_all:
      return 1;
    default:
      return 0;
  }
}

void dispatch(Context& c, KnownScript known, const Script& script) {
  switch (known) {
    case KnownScript::compare_and_delete:
      return compare_and_delete(c, script);
    case KnownScript::compare_and_expire:
      return compare_and_expire(c, script, false);
    case KnownScript::compare_and_extend:
      return compare_and_expire(c, script, true);
    case KnownScript::incr_with_expiry:
      return incr_with_expiry(c, script);
    case KnownScript::get_and_delete:
      return get_and_delete(c, script);
    case KnownScript::expire_all:
      return expire_all(c, script, {});
    case KnownScript::expire_at_all:
      return expire_all(c, script, {.absolute = true});
    case KnownScript::persist_all:
      return persist_all(c, script);
    case KnownScript::hash_set_with_expiry:
      return hash_set_with_expiry(c, script);
  }
}

// Requires one of the known scripts (stand_in_supports).
void run(Context& c, std::string sha1) {
  for (char& digit : sha1) {
    if (digit >= 'A' && digit <= 'F') digit = static_cast<char>(digit + 32);
  }
  const std::optional<KnownScript> known = known_script_by_sha1(sha1);
  STAYD_ASSERT(known);
  const std::string_view error = script_keys_error(c.args());
  if (!error.empty()) return c.error(error);
  std::int64_t keys = 0;
  parse_integer(c.arg(2), keys);
  const auto room = static_cast<std::int64_t>(c.argc()) - 3;
  const Script script{std::move(sha1), static_cast<std::size_t>(keys),
                      static_cast<std::size_t>(room - keys)};
  const bool all_keys = known == KnownScript::expire_all || known == KnownScript::expire_at_all ||
                        known == KnownScript::persist_all;
  if ((script.keys == 0 && !all_keys) || script.argvs < argvs_needed(*known)) {
    return c.error("ERR stayd: this script cannot run while Redis is out");
  }
  dispatch(c, *known, script);
}

void eval(Context& c) {
  run(c, sha1_hex(c.arg(1)));
}
void evalsha(Context& c) {
  run(c, std::string(c.arg(1)));
}

constexpr Command kCommands[] = {{"eval", eval}, {"evalsha", evalsha}};

}  // namespace

std::span<const Command> script_commands() {
  return kCommands;
}

}  // namespace stayd::standin
