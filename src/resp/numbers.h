// The one integer reader of the codec. Pure; any thread.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace stayd {

// A decimal as Redis reads it (string2ll of util.c): the whole text, an optional '-', no leading
// zero, no '+', no spaces. False leaves `value` alone.
inline bool parse_integer(std::string_view text, std::int64_t& value) {
  if (text.empty() || text.size() > 20) return false;
  const std::size_t sign = text[0] == '-' ? 1 : 0;
  if (sign == text.size()) return false;
  if (text[sign] == '0' && (sign == 1 || text.size() > 1)) return false;
  if (text.size() - sign <= 18) {
    std::int64_t number = 0;
    for (const char c : text.substr(sign)) {
      const unsigned digit = static_cast<unsigned char>(c) - static_cast<unsigned>('0');
      if (digit > 9) return false;
      number = number * 10 + digit;
    }
    value = sign == 1 ? -number : number;
    return true;
  }
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return false;
  value = number;
  return true;
}

// "<prefix><number>\r\n": the header of every reply and request element.
inline void append_header(std::string& out, char prefix, std::int64_t number) {
  char line[24];
  line[0] = prefix;
  char* end = std::to_chars(line + 1, line + sizeof line - 2, number).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out.append(line, end);
}

}  // namespace stayd
