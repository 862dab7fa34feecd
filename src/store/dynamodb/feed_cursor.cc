#include "store/dynamodb/feed_cursor.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "store/backup/cursor_text.h"

namespace stayd::dynamo {
namespace {

std::string marks_text(const Marks& marks, const std::optional<Snapshot>& snapshot) {
  std::string out;
  for (const std::uint64_t number : snapshot ? snapshot->under_way : std::vector<std::uint64_t>()) {
    const auto mark = marks.find(number);
    out += fmt::format("{}{:x}", out.empty() ? "" : ",", mark != marks.end() ? mark->second : 0);
  }
  return out.empty() ? "-" : out;
}

std::optional<Marks> parse_marks(std::string_view text, const std::optional<Snapshot>& snapshot) {
  Marks out;
  const std::size_t count = snapshot ? snapshot->under_way.size() : 0;
  if (count == 0) return text == "-" ? std::optional(std::move(out)) : std::nullopt;
  const auto parts = split_text(text, ',');
  if (parts.size() != count) return std::nullopt;
  for (std::size_t i = 0; i < count; ++i) {
    const auto mark = parsed_number<std::uint32_t>(parts[i], 16);
    if (!mark) return std::nullopt;
    out[snapshot->under_way[i]] = *mark;
  }
  return out;
}

}  // namespace

std::optional<FeedPlace> parse_place(std::string_view text) {
  const auto parts = split_text(text, ' ');
  if (parts.size() < 4 || parts[0] != "dy1") return std::nullopt;
  const std::size_t rest = parts[0].size() + parts[1].size() + parts[2].size() + 3;
  auto position = parse_cursor(text.substr(rest));
  if (!position) return std::nullopt;
  auto base = parse_marks(parts[1], position->base);
  auto target = parse_marks(parts[2], position->target);
  if (!base || !target) return std::nullopt;
  return FeedPlace{std::move(*position), std::move(*base), std::move(*target)};
}

std::string place_text(const FeedPlace& place) {
  return fmt::format("dy1 {} {} {}", marks_text(place.base, place.position.base),
                     marks_text(place.target, place.position.target), cursor_text(place.position));
}

std::uint32_t add_mark(std::uint32_t mark, std::string_view key) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  hash = (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9;
  return mark ^ static_cast<std::uint32_t>(hash >> 32);
}

}  // namespace stayd::dynamo
