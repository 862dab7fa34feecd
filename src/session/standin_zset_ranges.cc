// Sorted sets: ranges by rank, score and name; their counts and removals.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <utility>

#include "session/standin_context.h"

namespace stayd::standin {
namespace {

using Ordered = SortedSetValue::Ordered;
using Place = Ordered::const_iterator;

struct Span {
  Place first;
  Place last;  // behind the last one
};

// --- by score
// ---------------------------------------------------------------------------------------

struct ScoreBound {
  double value = 0;
  bool exclusive = false;
};

// zslParseRange of t_zset.c: plain strtod, so that spaces in front and the empty text are good.
bool parse_score_bound(std::string_view text, ScoreBound& bound) {
  if (!text.empty() && text[0] == '(') {
    bound.exclusive = true;
    text.remove_prefix(1);
  }
  const std::string copy(text);
  char* end = nullptr;
  bound.value = std::strtod(copy.c_str(), &end);
  return *end == '\0' && !std::isnan(bound.value);
}

// The first place whose score is above `score`.
Place above(const Ordered& ordered, double score) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (score == kInfinity) return ordered.end();
  return ordered.lower_bound({std::nextafter(score, kInfinity), std::string()});
}

Place from(const Ordered& ordered, double score) {
  return ordered.lower_bound({score, std::string()});
}

struct ScoreRange {
  ScoreBound min;
  ScoreBound max;

  Span span(const Ordered& ordered) const {
    const bool empty =
        min.value > max.value || (min.value == max.value && (min.exclusive || max.exclusive));
    if (empty) return {ordered.end(), ordered.end()};
    return {min.exclusive ? above(ordered, min.value) : from(ordered, min.value),
            max.exclusive ? from(ordered, max.value) : above(ordered, max.value)};
  }
};

// --- by name
// ----------------------------------------------------------------------------------------

struct LexBound {
  std::string_view text;
  int infinite = 0;  // -1: before every name, 1: behind
  bool exclusive = false;
};

bool parse_lex_bound(std::string_view text, LexBound& bound) {
  if (text.empty()) return false;
  switch (text[0]) {
    case '+':
    case '-':
      bound.infinite = text[0] == '+' ? 1 : -1;
      bound.exclusive = true;
      return text.size() == 1;
    case '(':
    case '[':
      bound.exclusive = text[0] == '(';
      bound.text = text.substr(1);
      return true;
    default:
      return false;
  }
}

// Sign of `name` against `bound`.
int compare(std::string_view name, const LexBound& bound) {
  return bound.infinite != 0 ? -bound.infinite : name.compare(bound.text);
}

struct LexRange {
  LexBound min;
  LexBound max;

  bool from_min(std::string_view name) const {
    const int order = compare(name, min);
    return min.exclusive ? order > 0 : order >= 0;
  }
  bool to_max(std::string_view name) const {
    const int order = compare(name, max);
    return max.exclusive ? order < 0 : order <= 0;
  }
  bool always_empty() const {
    if (min.infinite == 1 || max.infinite == -1) return true;
    if (min.infinite == -1 || max.infinite == 1) return false;
    const int order = min.text.compare(max.text);
    return order > 0 || (order == 0 && (min.exclusive || max.exclusive));
  }

  // As Redis walks it: with unequal scores, where the order is not by name, LIMIT's offset skips
  // what it likes, and the walk ends at the first name out of range. A negative offset skips
  // everything.
  Span span(const Ordered& ordered, bool reverse, std::int64_t skip) const {
    const Span none{ordered.end(), ordered.end()};
    if (ordered.empty() || always_empty()) return none;
    if (!from_min(ordered.rbegin()->second) || !to_max(ordered.begin()->second)) return none;
    if (reverse) {
      Place last = ordered.end();
      while (last != ordered.begin() && !to_max(std::prev(last)->second)) --last;
      if (last == ordered.begin() || !from_min(std::prev(last)->second)) return none;
      for (; skip != 0 && last != ordered.begin(); --skip) --last;
      Place first = last;
      while (first != ordered.begin() && from_min(std::prev(first)->second)) --first;
      return {first, last};
    }
    Place first = ordered.begin();
    while (first != ordered.end() && !from_min(first->second)) ++first;
    if (first == ordered.end() || !to_max(first->second)) return none;
    for (; skip != 0 && first != ordered.end(); --skip) ++first;
    Place last = first;
    while (last != ordered.end() && to_max(last->second)) ++last;
    return {first, last};
  }
};

// --- by rank
// ----------------------------------------------------------------------------------------

struct RankRange {
  std::int64_t start = 0;
  std::int64_t stop = 0;

  Span span(const Ordered& ordered, bool reverse) const {
    const auto size = static_cast<std::int64_t>(ordered.size());
    std::int64_t low = std::max<std::int64_t>(start < 0 ? start + size : start, 0);
    std::int64_t high = std::min(stop < 0 ? stop + size : stop, size - 1);
    if (low > high || low >= size) return {ordered.end(), ordered.end()};
    if (reverse) {
      std::swap(low, high);
      low = size - 1 - low;
      high = size - 1 - high;
    }
    const Place first = std::next(ordered.begin(), low);
    return {first, std::next(first, high - low + 1)};
  }
};

// --- ZRANGE and its kin
// -----------------------------------------------------------------------------

enum class By { unset, rank, score, name };

struct RangeOptions {
  By by = By::unset;
  bool reverse = false;
  bool reverse_fixed = false;
  bool with_scores = false;
  std::int64_t offset = 0;
  std::int64_t limit = -1;
};

// False: an error is written.
bool parse_range_options(Context& c, RangeOptions& options) {
  for (std::size_t i = 4; i < c.argc(); ++i) {
    const std::string_view word = c.arg(i);
    if (equals_ignore_case(word, "withscores")) {
      options.with_scores = true;
    } else if (equals_ignore_case(word, "limit") && i + 2 < c.argc()) {
      if (!c.integer(i + 1, options.offset) || !c.integer(i + 2, options.limit)) return false;
      i += 2;
    } else if (!options.reverse_fixed && equals_ignore_case(word, "rev")) {
      options.reverse = options.reverse_fixed = true;
    } else if (options.by == By::unset && equals_ignore_case(word, "bylex")) {
      options.by = By::name;
    } else if (options.by == By::unset && equals_ignore_case(word, "byscore")) {
      options.by = By::score;
    } else {
      c.error(kSyntaxError);
      return false;
    }
  }
  if (options.by == By::unset) options.by = By::rank;
  if (options.by == By::rank) options.offset = 0;  // LIMIT n -1 passes the next check, unused
  if (options.limit != -1 && options.by == By::rank) {
    c.error(
        "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX");
    return false;
  }
  if (options.with_scores && options.by == By::name) {
    c.error("ERR syntax error, WITHSCORES not supported in combination with BYLEX");
    return false;
  }
  return true;
}

struct Range {
  By by = By::rank;
  RankRange rank;
  ScoreRange score;
  LexRange name;

  Span span(const Ordered& ordered, bool reverse, std::int64_t skip = 0) const {
    if (by == By::score) return score.span(ordered);
    if (by == By::name) return name.span(ordered, reverse, skip);
    return rank.span(ordered, reverse);
  }
};

// Reads the range from args[low] and args[high]. False: an error is written.
bool parse_range(Context& c, By by, std::size_t low, std::size_t high, Range& range) {
  range.by = by;
  if (by == By::rank) {
    return c.integer(low, range.rank.start) && c.integer(high, range.rank.stop);
  }
  if (by == By::score) {
    if (parse_score_bound(c.arg(low), range.score.min) &&
        parse_score_bound(c.arg(high), range.score.max)) {
      return true;
    }
    c.error("ERR min or max is not a float");
    return false;
  }
  if (parse_lex_bound(c.arg(low), range.name.min) && parse_lex_bound(c.arg(high), range.name.max)) {
    return true;
  }
  c.error("ERR min or max not valid string range item");
  return false;
}

void write_span(Context& c, Span span, const RangeOptions& options) {
  std::vector<const Ordered::value_type*> chosen;
  for (Place at = span.first; at != span.last; ++at) chosen.push_back(&*at);
  if (options.reverse) std::reverse(chosen.begin(), chosen.end());
  const auto size = static_cast<std::int64_t>(chosen.size());
  const std::int64_t first = options.offset < 0 ? size : std::min(options.offset, size);
  const std::int64_t count =
      options.limit < 0 ? size - first : std::min(options.limit, size - first);
  write_array(c.out, static_cast<std::size_t>(count));
  for (std::int64_t i = first; i < first + count; ++i) {
    const auto& [score, member] = *chosen[static_cast<std::size_t>(i)];
    if (options.with_scores) write_array(c.out, 2);
    write_bulk(c.out, member);
    if (options.with_scores) write_double(c.out, score);
  }
}

void range_command(Context& c, RangeOptions options) {
  if (!parse_range_options(c, options)) return;
  // REV by score or name names the higher end first.
  const bool swapped = options.reverse && options.by != By::rank;
  Range range;
  if (!parse_range(c, options.by, swapped ? 3 : 2, swapped ? 2 : 3, range)) return;
  SortedSetValue* zset = nullptr;
  if (!c.open(c.record(c.arg(1)), zset)) return;
  if (zset == nullptr) return write_array(c.out, 0);
  const std::int64_t skip = options.by == By::name ? std::exchange(options.offset, 0) : 0;
  write_span(c, range.span(zset->ordered(), options.reverse, skip), options);
}

void zrange(Context& c) {
  range_command(c, {});
}
void zrevrange(Context& c) {
  range_command(c, {.by = By::rank, .reverse = true, .reverse_fixed = true});
}
void zrangebyscore(Context& c) {
  range_command(c, {.by = By::score, .reverse_fixed = true});
}
void zrangebylex(Context& c) {
  range_command(c, {.by = By::name, .reverse_fixed = true});
}
void zrevrangebyscore(Context& c) {
  range_command(c, {.by = By::score, .reverse = true, .reverse_fixed = true});
}
void zrevrangebylex(Context& c) {
  range_command(c, {.by = By::name, .reverse = true, .reverse_fixed = true});
}

void count_range(Context& c, By by) {
  Range range;
  if (!parse_range(c, by, 2, 3, range)) return;
  SortedSetValue* zset = nullptr;
  if (!c.open(c.record(c.arg(1)), zset)) return;
  if (zset == nullptr) return write_integer(c.out, 0);
  const Span span = range.span(zset->ordered(), false);
  write_integer(c.out, std::distance(span.first, span.last));
}

void zcount(Context& c) {
  count_range(c, By::score);
}
void zlexcount(Context& c) {
  count_range(c, By::name);
}

void remove_range(Context& c, By by) {
  Range range;
  if (!parse_range(c, by, 2, 3, range)) return;
  Record& record = c.record(c.arg(1));
  SortedSetValue* zset = nullptr;
  if (!c.open(record, zset)) return;
  if (zset == nullptr) return write_integer(c.out, 0);
  std::vector<ElementChange> changes;
  const Span span = range.span(zset->ordered(), false);
  for (Place at = span.first; at != span.last; ++at) {
    changes.push_back({.name = at->second, .removed = true});
  }
  for (const ElementChange& change : changes) zset->erase(change.name);
  write_integer(c.out, static_cast<std::int64_t>(changes.size()));
  if (!changes.empty()) c.elements(c.arg(1), record, true, std::move(changes));
}

void zremrangebyrank(Context& c) {
  remove_range(c, By::rank);
}
void zremrangebyscore(Context& c) {
  remove_range(c, By::score);
}
void zremrangebylex(Context& c) {
  remove_range(c, By::name);
}

constexpr Command kCommands[] = {
    {"zrange", zrange},
    {"zrevrange", zrevrange},
    {"zrangebyscore", zrangebyscore},
    {"zrevrangebyscore", zrevrangebyscore},
    {"zrangebylex", zrangebylex},
    {"zrevrangebylex", zrevrangebylex},
    {"zcount", zcount},
    {"zlexcount", zlexcount},
    {"zremrangebyrank", zremrangebyrank},
    {"zremrangebyscore", zremrangebyscore},
    {"zremrangebylex", zremrangebylex},
};

}  // namespace

std::span<const Command> zset_range_commands() {
  return kCommands;
}

}  // namespace stayd::standin
