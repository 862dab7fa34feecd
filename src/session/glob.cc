#include "session/glob.h"

#include <utility>

namespace stayd {
namespace {

// Matches one character against the class that opens at pattern[at] == '['; moves `at` behind it.
// An unclosed class ends with the pattern.
bool class_matches(std::string_view pattern, std::size_t& at, unsigned char c) {
  ++at;
  const bool negated = at < pattern.size() && pattern[at] == '^';
  if (negated) ++at;
  bool found = false;
  while (at < pattern.size() && pattern[at] != ']') {
    if (pattern[at] == '\\' && at + 1 < pattern.size()) {
      ++at;
      found = found || static_cast<unsigned char>(pattern[at]) == c;
    } else if (at + 2 < pattern.size() && pattern[at + 1] == '-') {
      auto low = static_cast<unsigned char>(pattern[at]);
      auto high = static_cast<unsigned char>(pattern[at + 2]);
      if (low > high) std::swap(low, high);
      found = found || (c >= low && c <= high);
      at += 2;
    } else {
      found = found || static_cast<unsigned char>(pattern[at]) == c;
    }
    ++at;
  }
  if (at < pattern.size()) ++at;
  return found != negated;
}

bool one_matches(std::string_view pattern, std::size_t& at, char c) {
  switch (pattern[at]) {
    case '?':
      ++at;
      return true;
    case '[':
      return class_matches(pattern, at, static_cast<unsigned char>(c));
    case '\\':
      if (at + 1 < pattern.size()) ++at;
      [[fallthrough]];
    default:
      return pattern[at++] == c;
  }
}

}  // namespace

bool element_matches(std::string_view pattern, std::string_view text) {
  std::size_t at = 0;
  std::size_t pos = 0;
  std::size_t star = std::string_view::npos;  // pattern position behind the last '*'
  std::size_t star_pos = 0;                   // where its rest was last tried
  while (true) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = ++at;
      star_pos = pos;
      continue;
    }
    if (pos == text.size()) break;
    if (at < pattern.size() && one_matches(pattern, at, text[pos])) {
      ++pos;
      continue;
    }
    if (star == std::string_view::npos) return false;
    at = star;
    pos = ++star_pos;
  }
  return at == pattern.size();
}

}  // namespace stayd
