// What one derivation works with. Internal to session/effects*.cc; one per command, on the stack.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "session/effects.h"
#include "session/expiry.h"

namespace stayd::effects {

class Derivation {
 public:
  Derivation(const CommandSpec& spec, const Args& args, int db, const ReplyView& reply,
             std::int64_t wall_ms, std::vector<Mutation>& out)
      : spec(spec), args(args), reply(reply), wall_ms(wall_ms), db_(db), out_(out) {}

  const CommandSpec& spec;
  const Args& args;
  const ReplyView& reply;
  const std::int64_t wall_ms;

  std::string_view key() const { return args[1]; }
  std::int64_t count() const { return reply.integer().value_or(0); }

  Mutation& add(Mutation::Kind kind, std::string_view key) {
    Mutation& mutation = out_.emplace_back();
    mutation.kind = kind;
    mutation.key = full_key(db_, key);
    return mutation;
  }
  Effects put(std::string_view key, std::string_view bytes, std::int64_t expires_at_ms) {
    Mutation& mutation = add(Mutation::Kind::put, key);
    mutation.record.value.emplace<std::string>(bytes);
    mutation.record.expires_at_ms = expires_at_ms;
    return Effects::known;
  }
  Effects value(std::string_view key, std::string_view bytes) {
    add(Mutation::Kind::value, key).record.value.emplace<std::string>(bytes);
    return Effects::known;
  }
  Effects tomb(std::string_view key) {
    add(Mutation::Kind::tomb, key);
    return Effects::known;
  }
  // A time that has passed removes the key.
  Effects expire(std::string_view key, std::int64_t at_ms) {
    if (at_ms <= wall_ms) return tomb(key);
    add(Mutation::Kind::expiry, key).record.expires_at_ms = at_ms;
    return Effects::known;
  }
  Effects persist(std::string_view key) {
    add(Mutation::Kind::expiry, key);
    return Effects::known;
  }
  Mutation& elements(std::string_view key, ValueType type) {
    Mutation& mutation = add(Mutation::Kind::elements, key);
    mutation.type = type;
    return mutation;
  }

 private:
  int db_;
  std::vector<Mutation>& out_;
};

using Derive = Effects (*)(Derivation&);
using Opaque = bool (*)(const Args&);

struct Command {
  std::string_view name;
  Derive derive;
  Opaque opaque = nullptr;  // arguments with which even a good reply does not tell the effect
};

// One table per file.
std::span<const Command> string_commands();
std::span<const Command> element_commands();
std::span<const Command> script_commands();

}  // namespace stayd::effects
