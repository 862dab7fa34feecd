// Hashes.
#include <cmath>
#include <functional>
#include <string>

#include "session/numbers.h"
#include "session/standin_context.h"

namespace stayd::standin {
namespace {

// Opens arg(1) as a hash for reading; nullptr when missing. False: WRONGTYPE.
bool read_hash(Context& c, HashValue*& hash) {
  return c.open(c.record(c.arg(1)), hash);
}

// Opens arg(1) as a hash, made when missing.
struct WriteHash {
  explicit WriteHash(Context& c) : record(c.record(c.arg(1))) {
    good = c.open(record, hash);
    existed = hash != nullptr;
    if (good && !existed) hash = &record.value.emplace<HashValue>();
  }
  Record& record;
  HashValue* hash = nullptr;
  bool good = false;
  bool existed = false;
};

void hset_pairs(Context& c, bool count) {
  if (c.argc() % 2 == 1) return c.error_arity();
  WriteHash target(c);
  if (!target.good) return;
  std::int64_t created = 0;
  std::vector<ElementChange> changes;
  for (std::size_t i = 2; i < c.argc(); i += 2) {
    const auto [place, is_new] = target.hash->insert_or_assign(std::string(c.arg(i)), c.arg(i + 1));
    if (is_new) ++created;
    if (target.existed) {
      changes.push_back({.name = std::string(c.arg(i)), .value = std::string(c.arg(i + 1))});
    }
  }
  c.elements(c.arg(1), target.record, target.existed, std::move(changes));
  if (count) {
    write_integer(c.out, created);
  } else {
    write_simple(c.out, "OK");
  }
}

void hset(Context& c) {
  hset_pairs(c, true);
}
void hmset(Context& c) {
  hset_pairs(c, false);
}

void set_field(Context& c, WriteHash& target, std::string_view field, std::string value) {
  std::vector<ElementChange> changes;
  changes.push_back({.name = std::string(field), .value = value});
  target.hash->insert_or_assign(std::string(field), std::move(value));
  c.elements(c.arg(1), target.record, target.existed, std::move(changes));
}

void hsetnx(Context& c) {
  WriteHash target(c);
  if (!target.good) return;
  if (target.hash->contains(c.arg(2))) return write_integer(c.out, 0);
  set_field(c, target, c.arg(2), std::string(c.arg(3)));
  write_integer(c.out, 1);
}

void write_field(Context& c, const HashValue* hash, std::string_view field) {
  if (hash != nullptr) {
    const auto found = hash->find(field);
    if (found != hash->end()) return write_bulk(c.out, found->second);
  }
  write_null(c.out);
}

void hget(Context& c) {
  HashValue* hash = nullptr;
  if (read_hash(c, hash)) write_field(c, hash, c.arg(2));
}

void hmget(Context& c) {
  HashValue* hash = nullptr;
  if (!read_hash(c, hash)) return;
  write_array(c.out, c.argc() - 2);
  for (std::size_t i = 2; i < c.argc(); ++i) write_field(c, hash, c.arg(i));
}

void hdel(Context& c) {
  Record& record = c.record(c.arg(1));
  HashValue* hash = nullptr;
  if (!c.open(record, hash)) return;
  std::vector<ElementChange> changes;
  for (std::size_t i = 2; hash != nullptr && i < c.argc(); ++i) {
    const auto found = hash->find(c.arg(i));
    if (found == hash->end()) continue;
    hash->erase(found);
    changes.push_back({.name = std::string(c.arg(i)), .removed = true});
  }
  write_integer(c.out, static_cast<std::int64_t>(changes.size()));
  if (!changes.empty()) c.elements(c.arg(1), record, true, std::move(changes));
}

void hlen(Context& c) {
  HashValue* hash = nullptr;
  if (!read_hash(c, hash)) return;
  write_integer(c.out, hash == nullptr ? 0 : static_cast<std::int64_t>(hash->size()));
}

void hstrlen(Context& c) {
  HashValue* hash = nullptr;
  if (!read_hash(c, hash)) return;
  std::size_t size = 0;
  if (hash != nullptr) {
    const auto found = hash->find(c.arg(2));
    if (found != hash->end()) size = found->second.size();
  }
  write_integer(c.out, static_cast<std::int64_t>(size));
}

void hexists(Context& c) {
  HashValue* hash = nullptr;
  if (!read_hash(c, hash)) return;
  write_integer(c.out, hash != nullptr && hash->contains(c.arg(2)) ? 1 : 0);
}

void hkeys(Context& c) {
  HashValue* hash = nullptr;
  if (!read_hash(c, hash)) return;
  write_array(c.out, hash == nullptr ? 0 : hash->size());
  if (hash == nullptr) return;
  for (const auto& [field, value] : *hash) write_bulk(c.out, field);
}

void hvals(Context& c) {
  HashValue* hash = nullptr;
  if (!read_hash(c, hash)) return;
  write_array(c.out, hash == nullptr ? 0 : hash->size());
  if (hash == nullptr) return;
  for (const auto& [field, value] : *hash) write_bulk(c.out, value);
}

void hgetall(Context& c) {
  HashValue* hash = nullptr;
  if (!read_hash(c, hash)) return;
  write_map(c.out, hash == nullptr ? 0 : hash->size());
  if (hash == nullptr) return;
  for (const auto& [field, value] : *hash) {
    write_bulk(c.out, field);
    write_bulk(c.out, value);
  }
}

// A hash that a command made and then did not fill must not stay.
void drop_if_new(WriteHash& target) {
  if (!target.existed) target.record = Record{};
}

void hincrby(Context& c) {
  std::int64_t step = 0;
  if (!c.integer(3, step)) return;
  WriteHash target(c);
  if (!target.good) return;
  const auto found = target.hash->find(c.arg(2));
  std::int64_t value = 0;
  if (found != target.hash->end() && !parse_integer(found->second, value)) {
    return c.error("ERR hash value is not an integer");
  }
  if (__builtin_add_overflow(value, step, &value)) {
    drop_if_new(target);
    return c.error(kIncrOverflow);
  }
  set_field(c, target, c.arg(2), std::to_string(value));
  write_integer(c.out, value);
}

void hincrbyfloat(Context& c) {
  long double step = 0;
  if (!parse_long_double(c.arg(3), step)) return c.error(kNotFloat);
  if (std::isinf(step)) return c.error("ERR value is NaN or Infinity");
  WriteHash target(c);
  if (!target.good) return;
  const auto found = target.hash->find(c.arg(2));
  long double value = 0;
  if (found != target.hash->end() && !parse_long_double(found->second, value)) {
    return c.error("ERR hash value is not a float");
  }
  value += step;
  if (std::isnan(value) || std::isinf(value)) {
    drop_if_new(target);
    return c.error(kNanOrInfinity);
  }
  std::string result = format_long_double(value);
  write_bulk(c.out, result);
  set_field(c, target, c.arg(2), std::move(result));
}

void hscan(Context& c) {
  if (!parse_scan_cursor(c)) return;
  HashValue* hash = nullptr;
  if (!read_hash(c, hash)) return;
  if (hash == nullptr) return write_empty_scan(c);
  ScanOptions options;
  if (!parse_scan_options(c, options)) return;
  std::vector<const HashValue::value_type*> matches;
  for (const auto& pair : *hash) {
    if (options.match(pair.first)) matches.push_back(&pair);
  }
  write_array(c.out, 2);
  write_bulk(c.out, "0");
  write_array(c.out, 2 * matches.size());
  for (const auto* pair : matches) {
    write_bulk(c.out, pair->first);
    write_bulk(c.out, pair->second);
  }
}

void write_picked(Context& c, const HashValue& hash, std::int64_t count, bool with_values) {
  const bool repeat = count < 0;
  std::size_t wanted = static_cast<std::size_t>(repeat ? -count : count);
  if (!repeat) wanted = std::min(wanted, hash.size());
  write_array(c.out, wanted);
  auto at = std::next(hash.begin(),
                      static_cast<std::ptrdiff_t>(pick(c, hash.begin()->first, hash.size())));
  for (; wanted > 0; --wanted) {
    if (with_values) write_array(c.out, 2);
    write_bulk(c.out, at->first);
    if (with_values) write_bulk(c.out, at->second);
    if (++at == hash.end()) at = hash.begin();
  }
}

void hrandfield(Context& c) {
  std::int64_t count = 0;
  bool with_values = false;
  if (c.argc() > 2) {
    if (!parse_pick_count(c, count)) return;
    if (c.argc() > 4 || (c.argc() == 4 && !equals_ignore_case(c.arg(3), "withvalues"))) {
      return c.error(kSyntaxError);
    }
    with_values = c.argc() == 4;
    constexpr std::int64_t kHalf = std::numeric_limits<std::int64_t>::max() / 2;
    if (with_values && (count < -kHalf || count > kHalf)) {
      return c.error("ERR value is out of range");
    }
  }
  HashValue* hash = nullptr;
  if (!read_hash(c, hash)) return;
  if (c.argc() == 2) {
    if (hash == nullptr) return write_null(c.out);
    const std::size_t offset = pick(c, hash->begin()->first, hash->size());
    return write_bulk(c.out, std::next(hash->begin(), static_cast<std::ptrdiff_t>(offset))->first);
  }
  if (hash == nullptr || count == 0) return write_array(c.out, 0);
  if (!picks_allowed(c, count)) return;
  write_picked(c, *hash, count, with_values);
}

constexpr Command kCommands[] = {
    {"hset", hset},       {"hmset", hmset},
    {"hsetnx", hsetnx},   {"hget", hget},
    {"hmget", hmget},     {"hdel", hdel},
    {"hlen", hlen},       {"hstrlen", hstrlen},
    {"hexists", hexists}, {"hkeys", hkeys},
    {"hvals", hvals},     {"hgetall", hgetall},
    {"hincrby", hincrby}, {"hincrbyfloat", hincrbyfloat},
    {"hscan", hscan},     {"hrandfield", hrandfield},
};

}  // namespace

std::span<const Command> hash_commands() {
  return kCommands;
}

}  // namespace stayd::standin
