// Dispatch of derive_effects: commands whose effect is known stand in the tables of
// effects_strings.cc, effects_elements.cc and effects_scripts.cc; every other write is read back.
#include "session/effects.h"

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>

#include "session/effects_context.h"

namespace stayd {
namespace {

using Table = boost::unordered_flat_map<std::string_view, const effects::Command*>;

Table make_table() {
  Table table;
  for (const auto group :
       {effects::string_commands(), effects::element_commands(), effects::script_commands()}) {
    for (const effects::Command& command : group) table.emplace(command.name, &command);
  }
  return table;
}

const effects::Command* find_entry(std::string_view name) {
  static const Table table = make_table();
  const auto found = table.find(name);
  return found == table.end() ? nullptr : found->second;
}

bool has_word(const Args& args, std::string_view lower) {
  return std::any_of(args.begin(), args.end(),
                     [lower](std::string_view arg) { return equals_ignore_case(arg, lower); });
}

// For a command that stands in no table: whether it may write what only Redis knows.
bool writes_unknown(const CommandSpec& spec, const Args& args) {
  if ((spec.flags & kCmdReadonly) != 0) return false;
  switch (spec.handling) {
    case Handling::script:
      return true;
    case Handling::flush:  // R18: not a change of rows one by one
    case Handling::local:
    case Handling::server:
    case Handling::keyspace:
    case Handling::transaction:
    case Handling::pubsub:
      return false;
    default:
      break;
  }
  if (!spec.writes()) return false;
  if (spec.name == "sort" || spec.name == "georadius" || spec.name == "georadiusbymember") {
    return has_word(args, "store") || has_word(args, "storedist");
  }
  return true;
}

// A reply of commands that are read back which says that nothing was done.
bool says_nothing_done(const CommandSpec& spec, const ReplyView& reply) {
  if (spec.handling == Handling::blocking) return reply.is_null();
  static constexpr std::string_view kZeroIsNothing[] = {
      "copy", "linsert", "lpushx", "lrem", "move", "renamenx", "rpushx", "xack", "xdel", "xtrim"};
  return reply.integer() == 0 && std::find(std::begin(kZeroIsNothing), std::end(kZeroIsNothing),
                                           spec.name) != std::end(kZeroIsNothing);
}

// Of a script. What it is denied on its way is told as ERR.
bool never_began(std::string_view error) {
  return error.starts_with("NOSCRIPT") || error.starts_with("NOPERM");
}

}  // namespace

Effects derive_effects(const CommandSpec& spec, const Args& args, int db, const ReplyView& reply,
                       std::int64_t wall_ms, std::vector<Mutation>& out) {
  if (reply.is_error()) {
    const bool may_have_written = spec.handling == Handling::script &&
                                  (spec.flags & kCmdReadonly) == 0 && !never_began(reply.text());
    return may_have_written ? Effects::read_back : Effects::none;
  }
  const effects::Command* entry = find_entry(spec.name);
  if (entry == nullptr) {
    return writes_unknown(spec, args) && !says_nothing_done(spec, reply) ? Effects::read_back
                                                                         : Effects::none;
  }
  if (entry->opaque != nullptr && entry->opaque(args)) return Effects::read_back;
  effects::Derivation derivation(spec, args, db, reply, wall_ms, out);
  return entry->derive(derivation);
}

bool effects_need_read_back(const CommandSpec& spec, const Args& args) {
  const effects::Command* entry = find_entry(spec.name);
  if (entry == nullptr) return writes_unknown(spec, args);
  return entry->opaque != nullptr && entry->opaque(args);
}

bool is_removal(const CommandSpec& spec, const Args& args, std::int64_t wall_ms) {
  const std::string_view name = spec.name;
  if (name == "del" || name == "unlink" || name == "getdel") return true;
  std::int64_t at_ms = 0;
  if (name == "getex") {
    SetOptions options;
    return args.size() > 3 && parse_set_options(args, OptionsOf::getex, options) &&
           options.has_expiry && options.unit.absolute &&
           positive_expiry(options.expiry, options.unit, wall_ms, at_ms) == ExpiryError::none &&
           at_ms <= wall_ms;
  }
  // With NX, XX, GT or LT the key may stay: Redis decides.
  if (args.size() != 3) return false;
  TimeUnit unit;
  if (name == "expire") {
    unit.seconds = true;
  } else if (name == "expireat") {
    unit = {.seconds = true, .absolute = true};
  } else if (name == "pexpireat") {
    unit.absolute = true;
  } else if (name != "pexpire") {
    return false;
  }
  return expire_time(args[2], unit, wall_ms, at_ms) == ExpiryError::none && at_ms <= wall_ms;
}

}  // namespace stayd
