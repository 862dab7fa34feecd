// Sets.
#include <algorithm>

#include "session/standin_context.h"

namespace stayd::standin {
namespace {

bool read_set(Context& c, SetValue*& set) {
  return c.open(c.record(c.arg(1)), set);
}

void sadd(Context& c) {
  Record& record = c.record(c.arg(1));
  SetValue* set = nullptr;
  if (!c.open(record, set)) return;
  const bool existed = set != nullptr;
  if (!existed) set = &record.value.emplace<SetValue>();
  std::int64_t added = 0;
  std::vector<ElementChange> changes;
  for (std::size_t i = 2; i < c.argc(); ++i) {
    if (!set->emplace(c.arg(i)).second) continue;
    ++added;
    if (existed) changes.push_back({.name = std::string(c.arg(i))});
  }
  c.elements(c.arg(1), record, existed, std::move(changes));
  write_integer(c.out, added);
}

void srem(Context& c) {
  Record& record = c.record(c.arg(1));
  SetValue* set = nullptr;
  if (!c.open(record, set)) return;
  std::vector<ElementChange> changes;
  for (std::size_t i = 2; set != nullptr && i < c.argc(); ++i) {
    const auto found = set->find(c.arg(i));
    if (found == set->end()) continue;
    set->erase(found);
    changes.push_back({.name = std::string(c.arg(i)), .removed = true});
  }
  write_integer(c.out, static_cast<std::int64_t>(changes.size()));
  if (!changes.empty()) c.elements(c.arg(1), record, true, std::move(changes));
}

void sismember(Context& c) {
  SetValue* set = nullptr;
  if (!read_set(c, set)) return;
  write_integer(c.out, set != nullptr && set->contains(c.arg(2)) ? 1 : 0);
}

void smismember(Context& c) {
  SetValue* set = nullptr;
  if (!read_set(c, set)) return;
  write_array(c.out, c.argc() - 2);
  for (std::size_t i = 2; i < c.argc(); ++i) {
    write_integer(c.out, set != nullptr && set->contains(c.arg(i)) ? 1 : 0);
  }
}

void scard(Context& c) {
  SetValue* set = nullptr;
  if (!read_set(c, set)) return;
  write_integer(c.out, set == nullptr ? 0 : static_cast<std::int64_t>(set->size()));
}

void write_members(Context& c, const SetValue& set) {
  write_set(c.out, set.size());
  for (const auto& member : set) write_bulk(c.out, member);
}

void smove(Context& c) {
  Record& from_record = c.record(c.arg(1));
  Record& to_record = c.record(c.arg(2));
  const std::string_view member = c.arg(3);
  if (!from_record.exists()) return write_integer(c.out, 0);
  SetValue* from = nullptr;
  SetValue* to = nullptr;
  if (!c.open(from_record, from) || !c.open(to_record, to)) return;
  const auto found = from->find(member);
  if (from == to) return write_integer(c.out, found != from->end() ? 1 : 0);
  if (found == from->end()) return write_integer(c.out, 0);
  from->erase(found);
  const bool existed = to != nullptr;
  if (!existed) to = &to_record.value.emplace<SetValue>();
  std::vector<ElementChange> added;
  if (to->emplace(member).second) added.push_back({.name = std::string(member)});
  c.elements(c.arg(1), from_record, true, {{.name = std::string(member), .removed = true}});
  c.elements(c.arg(2), to_record, existed, std::move(added));
  write_integer(c.out, 1);
}

void pop_many(Context& c, Record& record, SetValue& set, std::size_t count) {
  const std::size_t wanted = std::min(count, set.size());
  std::vector<ElementChange> changes;
  write_set(c.out, wanted);
  auto at = std::next(set.begin(), static_cast<std::ptrdiff_t>(pick(c, *set.begin(), set.size())));
  while (changes.size() < wanted) {
    write_bulk(c.out, *at);
    changes.push_back({.name = *at, .removed = true});
    at = set.erase(at);
    if (at == set.end()) at = set.begin();
  }
  c.elements(c.arg(1), record, true, std::move(changes));
}

void spop(Context& c) {
  if (c.argc() > 3) return c.error(kSyntaxError);
  std::int64_t count = 0;
  if (c.argc() == 3 && (!parse_integer(c.arg(2), count) || count < 0)) {
    return c.error("ERR value is out of range, must be positive");
  }
  Record& record = c.record(c.arg(1));
  SetValue* set = nullptr;
  if (!c.open(record, set)) return;
  if (c.argc() == 3) {
    if (set == nullptr || count == 0) return write_set(c.out, 0);
    return pop_many(c, record, *set, static_cast<std::size_t>(count));
  }
  if (set == nullptr) return write_null(c.out);
  const auto at =
      std::next(set->begin(), static_cast<std::ptrdiff_t>(pick(c, *set->begin(), set->size())));
  write_bulk(c.out, *at);
  std::vector<ElementChange> changes{{.name = *at, .removed = true}};
  set->erase(at);
  c.elements(c.arg(1), record, true, std::move(changes));
}

void srandmember(Context& c) {
  if (c.argc() > 3) return c.error(kSyntaxError);
  std::int64_t count = 1;
  if (c.argc() == 3 && !parse_pick_count(c, count)) return;
  SetValue* set = nullptr;
  if (!read_set(c, set)) return;
  const bool one = c.argc() == 2;
  if (set == nullptr && one) return write_null(c.out);
  if (set == nullptr || count == 0) return write_array(c.out, 0);
  if (!picks_allowed(c, count)) return;
  std::size_t wanted = static_cast<std::size_t>(count < 0 ? -count : count);
  if (count > 0) wanted = std::min(wanted, set->size());
  auto at =
      std::next(set->begin(), static_cast<std::ptrdiff_t>(pick(c, *set->begin(), set->size())));
  if (!one) write_array(c.out, wanted);
  for (; wanted > 0; --wanted) {
    write_bulk(c.out, *at);
    if (++at == set->end()) at = set->begin();
  }
}

void sscan(Context& c) {
  if (!parse_scan_cursor(c)) return;
  SetValue* set = nullptr;
  if (!read_set(c, set)) return;
  if (set == nullptr) return write_empty_scan(c);
  ScanOptions options;
  if (!parse_scan_options(c, options)) return;
  std::vector<const std::string*> matches;
  for (const auto& member : *set) {
    if (options.match(member)) matches.push_back(&member);
  }
  write_array(c.out, 2);
  write_bulk(c.out, "0");
  write_array(c.out, matches.size());
  for (const auto* member : matches) write_bulk(c.out, *member);
}

enum class Combine { intersect, unite, subtract };

// The sets args[first..] combined. False: WRONGTYPE is written.
bool combine(Context& c, std::size_t first, Combine how, SetValue& result) {
  std::vector<const SetValue*> sets;
  for (std::size_t i = first; i < c.argc(); ++i) {
    SetValue* set = nullptr;
    if (!c.open(c.record(c.arg(i)), set)) return false;
    sets.push_back(set);
  }
  static const SetValue kEmpty;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    const SetValue& set = sets[i] == nullptr ? kEmpty : *sets[i];
    if (i == 0) {
      result = set;
    } else if (how == Combine::unite) {
      result.insert(set.begin(), set.end());
    } else {
      const bool keep = how == Combine::intersect;
      std::erase_if(result, [&](const std::string& m) { return set.contains(m) != keep; });
    }
  }
  return true;
}

void reply_combined(Context& c, Combine how) {
  SetValue result;
  if (combine(c, 1, how, result)) write_members(c, result);
}

void store_combined(Context& c, Combine how) {
  SetValue result;
  if (!combine(c, 2, how, result)) return;
  const auto size = static_cast<std::int64_t>(result.size());
  Record record;
  if (size != 0) record.value.emplace<SetValue>(std::move(result));
  c.store(c.arg(1), std::move(record));
  write_integer(c.out, size);
}

void sinter(Context& c) {
  reply_combined(c, Combine::intersect);
}
void sunion(Context& c) {
  reply_combined(c, Combine::unite);
}
void sdiff(Context& c) {
  reply_combined(c, Combine::subtract);
}
void sinterstore(Context& c) {
  store_combined(c, Combine::intersect);
}
void sunionstore(Context& c) {
  store_combined(c, Combine::unite);
}
void sdiffstore(Context& c) {
  store_combined(c, Combine::subtract);
}

void smembers(Context& c) {
  SetValue* set = nullptr;
  if (!read_set(c, set)) return;
  if (set == nullptr) return write_set(c.out, 0);
  write_members(c, *set);
}

constexpr Command kCommands[] = {
    {"sadd", sadd},
    {"srem", srem},
    {"sismember", sismember},
    {"smismember", smismember},
    {"smembers", smembers},
    {"scard", scard},
    {"smove", smove},
    {"spop", spop},
    {"srandmember", srandmember},
    {"sscan", sscan},
    {"sinter", sinter},
    {"sunion", sunion},
    {"sdiff", sdiff},
    {"sinterstore", sinterstore},
    {"sunionstore", sunionstore},
    {"sdiffstore", sdiffstore},
};

}  // namespace

std::span<const Command> set_commands() {
  return kCommands;
}

}  // namespace stayd::standin
