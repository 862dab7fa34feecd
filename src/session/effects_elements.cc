// Effects of commands on hash fields, set members and sorted-set members.
#include "session/effects_context.h"
#include "session/numbers.h"

namespace stayd::effects {
namespace {

Effects hset(Derivation& d) {
  auto& changes = d.elements(d.key(), ValueType::hash).elements;
  changes.reserve((d.args.size() - 2) / 2);
  for (std::size_t i = 2; i + 1 < d.args.size(); i += 2) {
    changes.push_back({.name = std::string(d.args[i]), .value = std::string(d.args[i + 1])});
  }
  return Effects::known;
}

Effects hash_field(Derivation& d, std::string value) {
  d.elements(d.key(), ValueType::hash)
      .elements.push_back({.name = std::string(d.args[2]), .value = std::move(value)});
  return Effects::known;
}

Effects hsetnx(Derivation& d) {
  return d.count() == 1 ? hash_field(d, std::string(d.args[3])) : Effects::none;
}
Effects hincrby(Derivation& d) {
  return hash_field(d, std::to_string(d.count()));
}
Effects hincrbyfloat(Derivation& d) {
  return hash_field(d, std::string(d.reply.text()));
}

// HDEL, SREM, ZREM: some of the names went; the others were not there.
Effects remove_names(Derivation& d, ValueType type) {
  if (d.count() == 0) return Effects::none;
  auto& changes = d.elements(d.key(), type).elements;
  for (std::size_t i = 2; i < d.args.size(); ++i) {
    changes.push_back({.name = std::string(d.args[i]), .removed = true});
  }
  return Effects::known;
}

Effects hdel(Derivation& d) {
  return remove_names(d, ValueType::hash);
}
Effects srem(Derivation& d) {
  return remove_names(d, ValueType::set);
}
Effects zrem(Derivation& d) {
  return remove_names(d, ValueType::zset);
}

Effects sadd(Derivation& d) {
  if (d.count() == 0) return Effects::none;
  auto& changes = d.elements(d.key(), ValueType::set).elements;
  for (std::size_t i = 2; i < d.args.size(); ++i) {
    changes.push_back({.name = std::string(d.args[i])});
  }
  return Effects::known;
}

Effects smove(Derivation& d) {
  if (d.count() != 1 || d.args[1] == d.args[2]) return Effects::none;
  const std::string member(d.args[3]);
  d.elements(d.args[1], ValueType::set).elements.push_back({.name = member, .removed = true});
  d.elements(d.args[2], ValueType::set).elements.push_back({.name = member});
  return Effects::known;
}

Effects spop(Derivation& d) {
  const bool one = d.args.size() == 2;
  if (d.reply.is_null() || (!one && d.reply.size() == 0)) return Effects::none;
  auto& changes = d.elements(d.key(), ValueType::set).elements;
  if (one) {
    changes.push_back({.name = std::string(d.reply.text()), .removed = true});
    return Effects::known;
  }
  ReplyView element;
  for (auto elements = d.reply.elements(); elements.next(element);) {
    changes.push_back({.name = std::string(element.text()), .removed = true});
  }
  return Effects::known;
}

bool zadd_has_flags(const Args& args) {
  if (args.size() < 3) return false;
  double score = 0;
  return !parse_double(args[2], score);
}

Effects zadd(Derivation& d) {
  auto& changes = d.elements(d.key(), ValueType::zset).elements;
  for (std::size_t i = 2; i + 1 < d.args.size(); i += 2) {
    ElementChange& change = changes.emplace_back();
    change.name = d.args[i + 1];
    parse_double(d.args[i], change.score);
  }
  return Effects::known;
}

Effects zincrby(Derivation& d) {
  ElementChange change;
  if (d.reply.is_null() || !parse_double(d.reply.text(), change.score)) return Effects::none;
  change.name = d.args[3];
  d.elements(d.key(), ValueType::zset).elements.push_back(std::move(change));
  return Effects::known;
}

// [member, score, ...] or [[member, score], ...].
Effects zpop(Derivation& d) {
  if (d.reply.size() == 0) return Effects::none;
  auto& changes = d.elements(d.key(), ValueType::zset).elements;
  ReplyView element;
  bool is_score = false;
  for (auto elements = d.reply.elements(); elements.next(element);) {
    if (element.size() == 2) {
      ReplyView member;
      auto pair = element.elements();
      pair.next(member);
      changes.push_back({.name = std::string(member.text()), .removed = true});
      continue;
    }
    if (!is_score) changes.push_back({.name = std::string(element.text()), .removed = true});
    is_score = !is_score;
  }
  return Effects::known;
}

constexpr Command kCommands[] = {
    {"hset", hset},
    {"hmset", hset},
    {"hsetnx", hsetnx},
    {"hdel", hdel},
    {"hincrby", hincrby},
    {"hincrbyfloat", hincrbyfloat},
    {"sadd", sadd},
    {"srem", srem},
    {"smove", smove},
    {"spop", spop},
    {"zadd", zadd, zadd_has_flags},
    {"zrem", zrem},
    {"zincrby", zincrby},
    {"zpopmin", zpop},
    {"zpopmax", zpop},
};

}  // namespace

std::span<const Command> element_commands() {
  return kCommands;
}

}  // namespace stayd::effects
