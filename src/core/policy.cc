#include "core/policy.h"

#include <algorithm>
#include <utility>

namespace stayd {

namespace {

// Matches the character class that opens at `pattern[at]` against `c` and moves `at` to the last
// character it used. As Redis: a class without its closing bracket ends with the pattern, and a
// range written backwards is turned round.
bool match_class(std::string_view pattern, std::size_t& at, char c) {
  ++at;
  const bool negated = at < pattern.size() && pattern[at] == '^';
  if (negated) ++at;
  bool matched = false;
  for (;; ++at) {
    if (at >= pattern.size()) {
      --at;
      break;
    }
    const std::size_t left = pattern.size() - at;
    if (pattern[at] == '\\' && left >= 2) {
      ++at;
      matched |= pattern[at] == c;
    } else if (pattern[at] == ']') {
      break;
    } else if (left >= 3 && pattern[at + 1] == '-') {
      const auto [low, high] = std::minmax(pattern[at], pattern[at + 2]);
      matched |= low <= c && c <= high;
      at += 2;
    } else {
      matched |= pattern[at] == c;
    }
  }
  return matched != negated;
}

// Matches one element of the pattern at `at` (not '*') against `c`; on success `at` is behind it.
bool match_one(std::string_view pattern, std::size_t& at, char c) {
  std::size_t end = at;
  bool matched = true;
  switch (pattern[at]) {
    case '?':
      break;
    case '[':
      matched = match_class(pattern, end, c);
      break;
    case '\\':
      if (end + 1 < pattern.size()) ++end;
      [[fallthrough]];
    default:
      matched = pattern[end] == c;
  }
  if (matched) at = end + 1;
  return matched;
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text) {
  // Only the last '*' ever needs to take more: what stood before it has matched already.
  std::size_t p = 0, t = 0;
  std::size_t after_star = std::string_view::npos, star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      while (p < pattern.size() && pattern[p] == '*') ++p;
      if (p == pattern.size()) return true;
      after_star = p;
      star_text = t;
    } else if (p < pattern.size() && match_one(pattern, p, text[t])) {
      ++t;
    } else if (after_star != std::string_view::npos) {
      p = after_star;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

PolicyTable::PolicyTable(std::vector<SessionPolicy> blocks) : blocks_(std::move(blocks)) {
  catch_all_ = blocks_.empty();
  if (catch_all_) {
    SessionPolicy everything;
    everything.match = "*";
    blocks_.push_back(std::move(everything));
  }
  std::erase_if(blocks_, [](const SessionPolicy& block) { return block.match.empty(); });
  any_fence_ =
      std::ranges::any_of(blocks_, [](const auto& block) { return block.fence != Fence::off; });
}

const SessionPolicy* PolicyTable::find(std::string_view key) const {
  for (const SessionPolicy& block : blocks_) {
    if (glob_match(block.match, key)) return &block;
  }
  return nullptr;
}

bool PolicyTable::names(std::string_view text) const {
  const SessionPolicy* policy = find(text);
  return policy != nullptr && policy->match.find_first_not_of('*') != std::string::npos;
}

}  // namespace stayd
