// For tests: when two replies to the same command count as the same. Pure.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "resp/reply.h"

namespace stayd::testing {

// The reply as one comparable text: maps and sets sorted, and the elements of arrays in groups of
// `group` sorted (0: their order counts). Inside [cursor, elements] the elements carry the
// grouping.
inline std::string canonical(const ReplyView& reply, std::size_t group) {
  if (reply.size() == 0) return std::string(reply.frame());
  if (reply.type() == ReplyType::map) group = 2;
  if (reply.type() == ReplyType::set) group = 1;
  std::vector<std::string> groups;
  ReplyView element;
  std::size_t i = 0;
  for (auto elements = reply.elements(); elements.next(element); ++i) {
    const std::string text = canonical(element, group);
    if (group == 0 || i % group == 0) groups.emplace_back();
    groups.back() += text;
  }
  if (group != 0) std::sort(groups.begin(), groups.end());
  std::string out(1, static_cast<char>(reply.type()));
  out += std::to_string(reply.size()) + ":";
  for (const std::string& text : groups) out += text;
  return out;
}

// Names as in the command table: lower case.
inline bool picks_at_random(std::string_view name) {
  return name == "spop" || name == "srandmember" || name == "hrandfield";
}
inline bool tells_time(std::string_view name) {
  return name == "ttl" || name == "pttl" || name == "expiretime" || name == "pexpiretime";
}

// Two times that are set, or two equal numbers.
inline bool near(std::int64_t a, std::int64_t b, std::int64_t tolerance) {
  return a == b || (a > 0 && b > 0 && std::llabs(a - b) <= tolerance);
}

}  // namespace stayd::testing
