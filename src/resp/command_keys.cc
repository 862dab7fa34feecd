#include "resp/command_keys.h"

#include <algorithm>
#include <cstdint>

#include "resp/numbers.h"

namespace stayd {
namespace {

using Positions = std::vector<std::uint32_t>;

// Where the keys of one specification begin; 0: its keyword is not there.
int begin_of(const KeySpec& spec, const Args& args) {
  const int count = static_cast<int>(args.size());
  if (spec.keyword.empty()) return spec.start;
  const bool forwards = spec.start > 0;
  int at = forwards ? spec.start : count + spec.start;
  // Redis looks neither at the last argument (forwards) nor at the name.
  for (const int end = forwards ? count - 1 : 1; at != end; at += at <= end ? 1 : -1) {
    if (at >= count || at < 0) return 0;
    if (equals_ignore_case(args[static_cast<std::size_t>(at)], spec.keyword)) return at + 1;
  }
  return 0;
}

// getKeysUsingKeySpecs of Redis' db.c, for one specification.
bool append_keys(const KeySpec& spec, const Args& args, Positions& positions) {
  const int count = static_cast<int>(args.size());
  int first = begin_of(spec, args);
  if (first == 0) return true;
  int last = 0;
  if (spec.find == KeySpec::range) {
    if (spec.a >= 0) {
      last = first + spec.a;
    } else if (spec.c == 0) {
      last = count + spec.a;
    } else {
      last = first + (count - first) / spec.c + spec.a;
    }
  } else {
    const int where = first + spec.a;
    std::int64_t keys = 0;
    if (where >= count) return false;
    if (!parse_integer(args[static_cast<std::size_t>(where)], keys)) return false;
    if (keys < 1 || keys > count - first - spec.c) return false;
    first += spec.c;
    last = first + (static_cast<int>(keys) - 1) * spec.step;
  }
  last = std::min(last, count - 1);  // too few arguments: the command itself will say so
  for (int i = first; i <= last; i += spec.step) positions.push_back(static_cast<std::uint32_t>(i));
  return true;
}

// The key, and the last STORE's.
void sort_keys(const Args& args, Positions& positions) {
  positions.push_back(1);
  std::size_t store = 0;
  for (std::size_t i = 2; i < args.size(); ++i) {
    if (equals_ignore_case(args[i], "limit")) {
      i += 2;
    } else if (equals_ignore_case(args[i], "get") || equals_ignore_case(args[i], "by")) {
      i += 1;
    } else if (equals_ignore_case(args[i], "store") && i + 1 < args.size()) {
      store = ++i;
    }
  }
  if (store != 0) positions.push_back(static_cast<std::uint32_t>(store));
}

// MIGRATE host port key db timeout, or MIGRATE host port "" db timeout ... KEYS key ...
bool migrate_keys(const Args& args, Positions& positions) {
  std::size_t i = 6;
  while (i < args.size() && !equals_ignore_case(args[i], "keys")) {
    const std::size_t words = equals_ignore_case(args[i], "auth2")  ? 2
                              : equals_ignore_case(args[i], "auth") ? 1
                                                                    : 0;
    i += 1 + words;
  }
  if (i >= args.size()) {
    positions.push_back(3);
    return true;
  }
  if (!args[3].empty()) return false;
  for (++i; i < args.size(); ++i) positions.push_back(static_cast<std::uint32_t>(i));
  return !positions.empty();
}

}  // namespace

bool find_keys(const CommandSpec& spec, const Args& args, std::vector<std::uint32_t>& positions) {
  positions.clear();
  const KeySpec* specs = key_specs(spec);
  if (specs[0].find == KeySpec::none) return true;
  if (specs[0].find == KeySpec::incomplete) {
    if (spec.name == "migrate") return migrate_keys(args, positions);
    if (spec.name == "sort") {
      sort_keys(args, positions);
    } else {
      positions.push_back(1);  // SORT_RO
    }
    return true;
  }
  for (int i = 0; i < kMaxKeySpecs && specs[i].find != KeySpec::none; ++i) {
    if (append_keys(specs[i], args, positions)) continue;
    positions.clear();
    break;
  }
  return !positions.empty() || (spec.flags & kCmdNoMandatoryKeys) != 0;
}

}  // namespace stayd
