// Pieces of the text of a feed's cursor. Pure; any thread.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stayd {

// All of `text`, or nothing.
template <class T>
std::optional<T> parsed_number(std::string_view text, int base = 10) {
  T out{};
  const auto read = std::from_chars(text.data(), text.data() + text.size(), out, base);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return out;
}

std::vector<std::string_view> split_text(std::string_view text, char by);

std::string hex_text(std::string_view bytes);
std::optional<std::string> from_hex_text(std::string_view text);

}  // namespace stayd
