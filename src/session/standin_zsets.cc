// Sorted sets: changes, scores, ranks and pops. Ranges stand in standin_zset_ranges.cc.
#include <algorithm>
#include <cmath>
#include <string>

#include "session/numbers.h"
#include "session/standin_context.h"

namespace stayd::standin {
namespace {

struct ZaddFlags {
  bool nx = false;
  bool xx = false;
  bool gt = false;
  bool lt = false;
  bool ch = false;
  bool incr = false;
};

// Reads flags from args[2] on; returns the position of the first score.
std::size_t parse_zadd_flags(Context& c, ZaddFlags& flags) {
  std::size_t i = 2;
  for (; i < c.argc(); ++i) {
    const std::string_view word = c.arg(i);
    if (equals_ignore_case(word, "nx")) {
      flags.nx = true;
    } else if (equals_ignore_case(word, "xx")) {
      flags.xx = true;
    } else if (equals_ignore_case(word, "gt")) {
      flags.gt = true;
    } else if (equals_ignore_case(word, "lt")) {
      flags.lt = true;
    } else if (equals_ignore_case(word, "ch")) {
      flags.ch = true;
    } else if (equals_ignore_case(word, "incr")) {
      flags.incr = true;
    } else {
      break;
    }
  }
  return i;
}

// Empty when the flags and the number of arguments go together.
std::string_view zadd_problem(const ZaddFlags& flags, std::size_t left) {
  if (left == 0 || left % 2 != 0) return kSyntaxError;
  if (flags.nx && flags.xx) {
    return "ERR XX and NX options at the same time are not compatible";
  }
  if ((flags.gt && flags.nx) || (flags.lt && flags.nx) || (flags.gt && flags.lt)) {
    return "ERR GT, LT, and/or NX options at the same time are not compatible";
  }
  if (flags.incr && left > 2) {
    return "ERR INCR option supports a single increment-element pair";
  }
  return {};
}

struct ZaddTally {
  std::int64_t added = 0;
  std::int64_t updated = 0;
  bool processed = false;
  double score = 0;
  std::vector<ElementChange> changes;
};

// One member of ZADD. False: the score would be NaN.
bool zadd_one(SortedSetValue& zset, std::string_view member, double score, const ZaddFlags& flags,
              ZaddTally& tally) {
  const std::optional<double> old = zset.score(member);
  if (old ? flags.nx : flags.xx) return true;
  if (old && flags.incr) score += *old;
  if (std::isnan(score)) return false;
  if (old && ((flags.lt && score >= *old) || (flags.gt && score <= *old))) return true;
  tally.processed = true;
  tally.score = score;
  if (old && score == *old) return true;
  ++(old ? tally.updated : tally.added);
  zset.set(member, score);
  tally.changes.push_back({.name = std::string(member), .score = score});
  return true;
}

void zadd_with(Context& c, ZaddFlags flags) {
  const std::size_t first = parse_zadd_flags(c, flags);
  const std::string_view problem = zadd_problem(flags, c.argc() - first);
  if (!problem.empty()) return c.error(problem);
  std::vector<double> scores;
  for (std::size_t i = first; i < c.argc(); i += 2) {
    if (!parse_double(c.arg(i), scores.emplace_back())) return c.error(kNotFloat);
  }
  Record& record = c.record(c.arg(1));
  SortedSetValue* zset = nullptr;
  if (!c.open(record, zset)) return;
  const bool existed = zset != nullptr;
  ZaddTally tally;
  bool is_nan = false;
  if (existed || !flags.xx) {
    if (!existed) zset = &record.value.emplace<SortedSetValue>();
    for (std::size_t i = 0; i < scores.size() && !is_nan; ++i) {
      is_nan = !zadd_one(*zset, c.arg(first + 2 * i + 1), scores[i], flags, tally);
    }
    c.elements(c.arg(1), record, existed, std::move(tally.changes));
  }
  if (is_nan) return c.error("ERR resulting score is not a number (NaN)");
  if (!flags.incr) {
    return write_integer(c.out, flags.ch ? tally.added + tally.updated : tally.added);
  }
  if (tally.processed) return write_double(c.out, tally.score);
  write_null(c.out);
}

void zadd(Context& c) {
  zadd_with(c, {});
}
// Redis, too, runs ZINCRBY through ZADD's parser, options included.
void zincrby(Context& c) {
  zadd_with(c, {.incr = true});
}

void zrem(Context& c) {
  Record& record = c.record(c.arg(1));
  SortedSetValue* zset = nullptr;
  if (!c.open(record, zset)) return;
  std::vector<ElementChange> changes;
  for (std::size_t i = 2; zset != nullptr && i < c.argc(); ++i) {
    if (zset->erase(c.arg(i))) {
      changes.push_back({.name = std::string(c.arg(i)), .removed = true});
    }
  }
  write_integer(c.out, static_cast<std::int64_t>(changes.size()));
  if (!changes.empty()) c.elements(c.arg(1), record, true, std::move(changes));
}

bool read_zset(Context& c, SortedSetValue*& zset) {
  return c.open(c.record(c.arg(1)), zset);
}

void write_score(Context& c, const SortedSetValue* zset, std::string_view member) {
  const auto score = zset == nullptr ? std::nullopt : zset->score(member);
  if (score) return write_double(c.out, *score);
  write_null(c.out);
}

void zscore(Context& c) {
  SortedSetValue* zset = nullptr;
  if (read_zset(c, zset)) write_score(c, zset, c.arg(2));
}

void zmscore(Context& c) {
  SortedSetValue* zset = nullptr;
  if (!read_zset(c, zset)) return;
  write_array(c.out, c.argc() - 2);
  for (std::size_t i = 2; i < c.argc(); ++i) write_score(c, zset, c.arg(i));
}

void zcard(Context& c) {
  SortedSetValue* zset = nullptr;
  if (!read_zset(c, zset)) return;
  write_integer(c.out, zset == nullptr ? 0 : static_cast<std::int64_t>(zset->size()));
}

void rank_of(Context& c, bool reverse) {
  SortedSetValue* zset = nullptr;
  if (!read_zset(c, zset)) return;
  const auto score = zset == nullptr ? std::nullopt : zset->score(c.arg(2));
  if (!score) return write_null(c.out);
  const auto& ordered = zset->ordered();
  const auto at = ordered.find({*score, std::string(c.arg(2))});
  const auto rank = std::distance(ordered.begin(), at);
  write_integer(c.out, reverse ? static_cast<std::int64_t>(zset->size()) - 1 - rank : rank);
}

void zrank(Context& c) {
  rank_of(c, false);
}
void zrevrank(Context& c) {
  rank_of(c, true);
}

void pop_end(Context& c, bool highest) {
  if (c.argc() > 3) return c.error(kSyntaxError);
  std::int64_t count = 1;
  if (c.argc() == 3 && (!parse_integer(c.arg(2), count) || count < 0)) {
    return c.error("ERR value is out of range, must be positive");
  }
  Record& record = c.record(c.arg(1));
  SortedSetValue* zset = nullptr;
  if (!c.open(record, zset)) return;
  if (zset == nullptr || count == 0) return write_array(c.out, 0);
  const bool nested = c.argc() == 3;
  const std::size_t wanted = std::min(static_cast<std::size_t>(count), zset->size());
  write_array(c.out, nested ? wanted : 2);
  std::vector<ElementChange> changes;
  for (std::size_t i = 0; i < wanted; ++i) {
    const auto at = highest ? std::prev(zset->ordered().end()) : zset->ordered().begin();
    if (nested) write_array(c.out, 2);
    write_bulk(c.out, at->second);
    write_double(c.out, at->first);
    changes.push_back({.name = at->second, .removed = true});
    zset->erase(changes.back().name);
  }
  c.elements(c.arg(1), record, true, std::move(changes));
}

void zpopmin(Context& c) {
  pop_end(c, false);
}
void zpopmax(Context& c) {
  pop_end(c, true);
}

// Small sorted sets (listpack) keep whole scores as integers, and ZSCAN prints them as such.
std::string scan_score(double score) {
  constexpr double kHalf = 4611686018427387904.0;  // LLONG_MAX / 2
  if (score >= -kHalf && score <= kHalf && score == std::trunc(score)) {
    return std::to_string(static_cast<std::int64_t>(score));
  }
  return format_double(score);
}

void zscan(Context& c) {
  if (!parse_scan_cursor(c)) return;
  SortedSetValue* zset = nullptr;
  if (!read_zset(c, zset)) return;
  if (zset == nullptr) return write_empty_scan(c);
  ScanOptions options;
  if (!parse_scan_options(c, options)) return;
  std::vector<const std::pair<double, std::string>*> matches;
  for (const auto& entry : zset->ordered()) {
    if (options.match(entry.second)) matches.push_back(&entry);
  }
  write_array(c.out, 2);
  write_bulk(c.out, "0");
  write_array(c.out, 2 * matches.size());
  for (const auto* entry : matches) {
    write_bulk(c.out, entry->second);
    write_bulk(c.out, scan_score(entry->first));
  }
}

constexpr Command kCommands[] = {
    {"zadd", zadd},       {"zincrby", zincrby}, {"zrem", zrem},   {"zscore", zscore},
    {"zmscore", zmscore}, {"zcard", zcard},     {"zrank", zrank}, {"zrevrank", zrevrank},
    {"zpopmin", zpopmin}, {"zpopmax", zpopmax}, {"zscan", zscan},
};

}  // namespace

std::span<const Command> zset_commands() {
  return kCommands;
}

}  // namespace stayd::standin
