// Effects of the known scripts, told from their result.
#include "session/effects_context.h"
#include "session/numbers.h"
#include "session/scripts.h"

namespace stayd::effects {
namespace {

struct Script {
  std::optional<KnownScript> known;
  std::size_t keys = 0;
  std::size_t argvs = 0;
};

Script read_script(const Args& args, bool by_sha1) {
  Script script;
  std::int64_t keys = 0;
  if (args.size() < 3 || !parse_integer(args[2], keys) || keys < 1 ||
      static_cast<std::size_t>(keys) > args.size() - 3) {
    return script;
  }
  script.known = by_sha1 ? known_script_by_sha1(args[1]) : known_script_by_text(args[1]);
  script.keys = static_cast<std::size_t>(keys);
  script.argvs = args.size() - 3 - script.keys;
  return script;
}

// Several keys, one result: which of them changed is not told.
bool is_opaque(const Args& args, const Script& script) {
  if (!script.known) return true;
  const auto argv = [&](std::size_t i) { return args[3 + script.keys + i]; };
  switch (*script.known) {
    case KnownScript::compare_and_delete:
    case KnownScript::get_and_delete:
      return false;
    case KnownScript::compare_and_expire:
      return script.argvs < 2;
    case KnownScript::compare_and_extend:
      return script.argvs < 3 || argv(2) == "0";
    case KnownScript::incr_with_expiry:
    case KnownScript::expire_all:
    case KnownScript::expire_at_all:
      return script.keys != 1 || script.argvs < 1;
    case KnownScript::persist_all:
      return script.keys != 1;
    // Value and expiry change together, and no mutation says both without the whole value.
    case KnownScript::hash_set_with_expiry:
      return script.argvs < 4 || argv(2) != "-1";
  }
  return true;
}

Effects expire(Derivation& d, std::string_view time, TimeUnit unit) {
  std::int64_t at_ms = 0;
  if (d.count() != 1) return Effects::none;
  if (expire_time(time, unit, d.wall_ms, at_ms) != ExpiryError::none) return Effects::read_back;
  return d.expire(d.args[3], at_ms);
}

Effects incr_with_expiry(Derivation& d, std::string_view ttl) {
  const std::string_view key = d.args[3];
  // Lua's numbers are doubles: beyond 2^53 the reply is not the value.
  constexpr std::int64_t kExact = 1LL << 53;
  if (d.count() > kExact || d.count() < -kExact) return Effects::read_back;
  if (d.count() != 1) return d.value(key, std::to_string(d.count()));
  std::int64_t at_ms = 0;
  if (expire_time(ttl, {.seconds = true}, d.wall_ms, at_ms) != ExpiryError::none) {
    return Effects::read_back;
  }
  return at_ms <= d.wall_ms ? d.tomb(key) : d.put(key, "1", at_ms);
}

Effects hash_set(Derivation& d, const Script& script) {
  const auto argv = [&](std::size_t i) { return std::string(d.args[3 + script.keys + i]); };
  auto& changes = d.elements(d.args[3], ValueType::hash).elements;
  changes.push_back({.name = "absexp", .value = argv(0)});
  changes.push_back({.name = "sldexp", .value = argv(1)});
  changes.push_back({.name = "data", .value = argv(3)});
  return Effects::known;
}

Effects derive(Derivation& d, bool by_sha1) {
  const Script script = read_script(d.args, by_sha1);
  if (is_opaque(d.args, script)) return Effects::read_back;
  const auto argv = [&](std::size_t i) { return d.args[3 + script.keys + i]; };
  switch (*script.known) {
    case KnownScript::compare_and_delete:
      return d.count() == 1 ? d.tomb(d.args[3]) : Effects::none;
    case KnownScript::get_and_delete:
      return d.tomb(d.args[3]);
    case KnownScript::compare_and_expire:
    case KnownScript::compare_and_extend:
      return expire(d, argv(1), {});
    case KnownScript::expire_all:
      return expire(d, argv(0), {});
    case KnownScript::expire_at_all:
      return expire(d, argv(0), {.absolute = true});
    case KnownScript::persist_all:
      return d.count() == 1 ? d.persist(d.args[3]) : Effects::none;
    case KnownScript::incr_with_expiry:
      return incr_with_expiry(d, argv(0));
    case KnownScript::hash_set_with_expiry:
      return hash_set(d, script);
  }
  return Effects::read_back;
}

Effects eval(Derivation& d) {
  return derive(d, false);
}
Effects evalsha(Derivation& d) {
  return derive(d, true);
}
bool eval_opaque(const Args& args) {
  return is_opaque(args, read_script(args, false));
}
bool evalsha_opaque(const Args& args) {
  return is_opaque(args, read_script(args, true));
}

constexpr Command kCommands[] = {{"eval", eval, eval_opaque}, {"evalsha", evalsha, evalsha_opaque}};

}  // namespace

std::span<const Command> script_commands() {
  return kCommands;
}

}  // namespace stayd::effects
