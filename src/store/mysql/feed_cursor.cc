#include "store/mysql/feed_cursor.h"

#include <fmt/format.h>

#include "store/backup/cursor_text.h"

namespace stayd::mysql {

std::optional<CursorPosition> parse_cursor(std::string_view text) {
  const auto parts = split_text(text, ' ');
  if ((parts.size() != 3 && parts.size() != 4) || parts[0] != "my1") return std::nullopt;
  CursorPosition out;
  out.epoch = parts[1];
  const auto change = parsed_number<std::uint64_t>(parts[2]);
  if (!change) return std::nullopt;
  out.change = *change;
  if (parts.size() == 3) return out;
  out.key = from_hex_text(parts[3]);
  return out.key ? std::optional(std::move(out)) : std::nullopt;
}

std::string cursor_text(const CursorPosition& position) {
  std::string out = fmt::format("my1 {} {}", position.epoch, position.change);
  return position.key ? out + " " + hex_text(*position.key) : out;
}

}  // namespace stayd::mysql
