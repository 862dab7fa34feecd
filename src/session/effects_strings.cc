// Effects of string commands and of commands on whole keys.
#include <charconv>
#include <unordered_set>

#include "session/effects_context.h"

namespace stayd::effects {
namespace {

Effects set(Derivation& d) {
  if (d.args.size() == 3) return d.reply.is_null() ? Effects::none : d.put(d.key(), d.args[2], 0);
  SetOptions options;
  std::int64_t at_ms = 0;
  if (!parse_set_options(d.args, OptionsOf::set, options)) return Effects::none;
  if (options.has_expiry &&
      positive_expiry(options.expiry, options.unit, d.wall_ms, at_ms) != ExpiryError::none) {
    return Effects::none;
  }
  // With GET the reply is the old value: null says that there was none.
  const bool was_absent = d.reply.is_null();
  if (options.get ? (options.nx && !was_absent) || (options.xx && was_absent) : was_absent) {
    return Effects::none;
  }
  return options.keep_ttl ? d.value(d.key(), d.args[2]) : d.put(d.key(), d.args[2], at_ms);
}

Effects set_with_expiry(Derivation& d, TimeUnit unit) {
  std::int64_t at_ms = 0;
  if (positive_expiry(d.args[2], unit, d.wall_ms, at_ms) != ExpiryError::none) {
    return Effects::none;
  }
  return d.put(d.key(), d.args[3], at_ms);
}

Effects setex(Derivation& d) {
  return set_with_expiry(d, {.seconds = true});
}
Effects psetex(Derivation& d) {
  return set_with_expiry(d, {});
}
Effects setnx(Derivation& d) {
  return d.count() == 1 ? d.put(d.key(), d.args[2], 0) : Effects::none;
}
Effects getset(Derivation& d) {
  return d.put(d.key(), d.args[2], 0);
}
Effects getdel(Derivation& d) {
  return d.tomb(d.key());
}

Effects getex(Derivation& d) {
  SetOptions options;
  std::int64_t at_ms = 0;
  if (d.reply.is_null() || !parse_set_options(d.args, OptionsOf::getex, options)) {
    return Effects::none;
  }
  if (options.persist) return d.persist(d.key());
  if (!options.has_expiry ||
      positive_expiry(options.expiry, options.unit, d.wall_ms, at_ms) != ExpiryError::none) {
    return Effects::none;
  }
  return d.expire(d.key(), at_ms);
}

// A key named twice has its last value, in one mutation.
Effects mset(Derivation& d) {
  std::unordered_set<std::string_view> done;
  for (std::size_t i = d.args.size() - 2; i >= 1 && i < d.args.size(); i -= 2) {
    if (d.args.size() > 3 && !done.insert(d.args[i]).second) continue;
    d.put(d.args[i], d.args[i + 1], 0);
  }
  return Effects::known;
}
Effects msetnx(Derivation& d) {
  return d.count() == 1 ? mset(d) : Effects::none;
}

Effects incr(Derivation& d) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, d.count()).ptr;
  return d.value(d.key(), std::string_view(digits, static_cast<std::size_t>(end - digits)));
}
Effects incrbyfloat(Derivation& d) {
  return d.value(d.key(), d.reply.text());
}

Effects del(Derivation& d) {
  std::unordered_set<std::string_view> done;
  for (std::size_t i = 1; i < d.args.size(); ++i) {
    if (d.args.size() > 2 && !done.insert(d.args[i]).second) continue;
    d.tomb(d.args[i]);
  }
  return Effects::known;
}

Effects expire(Derivation& d, TimeUnit unit) {
  std::int64_t at_ms = 0;
  if (expire_time(d.args[2], unit, d.wall_ms, at_ms) != ExpiryError::none) return Effects::none;
  const bool removes = at_ms <= d.wall_ms;
  if (removes && (d.count() == 1 || d.args.size() == 3)) return d.tomb(d.key());
  return d.count() == 1 ? d.expire(d.key(), at_ms) : Effects::none;
}

Effects expire_seconds(Derivation& d) {
  return expire(d, {.seconds = true});
}
Effects expire_ms(Derivation& d) {
  return expire(d, {});
}
Effects expireat_seconds(Derivation& d) {
  return expire(d, {.seconds = true, .absolute = true});
}
Effects expireat_ms(Derivation& d) {
  return expire(d, {.seconds = false, .absolute = true});
}
Effects persist(Derivation& d) {
  return d.count() == 1 ? d.persist(d.key()) : Effects::none;
}

constexpr Command kCommands[] = {
    {"set", set},
    {"setex", setex},
    {"psetex", psetex},
    {"setnx", setnx},
    {"getset", getset},
    {"getdel", getdel},
    {"getex", getex},
    {"mset", mset},
    {"msetnx", msetnx},
    {"incr", incr},
    {"decr", incr},
    {"incrby", incr},
    {"decrby", incr},
    {"incrbyfloat", incrbyfloat},
    {"del", del},
    {"unlink", del},
    {"expire", expire_seconds},
    {"pexpire", expire_ms},
    {"expireat", expireat_seconds},
    {"pexpireat", expireat_ms},
    {"persist", persist},
};

}  // namespace

std::span<const Command> string_commands() {
  return kCommands;
}

}  // namespace stayd::effects
