// Reads fields of INFO's text. Pure.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>

namespace stayd {

// The value of `name:` at the start of a line; empty when absent.
inline std::string_view info_field(std::string_view info, std::string_view name) {
  std::size_t at = 0;
  while (at < info.size()) {
    const std::size_t end = std::min(info.find('\n', at), info.size());
    std::string_view line = info.substr(at, end - at);
    at = end + 1;
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':') {
      line.remove_prefix(name.size() + 1);
      if (line.ends_with('\r')) line.remove_suffix(1);
      return line;
    }
  }
  return {};
}

inline std::uint64_t info_number(std::string_view info, std::string_view name) {
  const auto text = info_field(info, name);
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace stayd
