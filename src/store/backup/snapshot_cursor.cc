#include "store/backup/snapshot_cursor.h"

#include <fmt/format.h>

#include "store/backup/cursor_text.h"

namespace stayd {
std::optional<Snapshot> parse_snapshot(std::string_view text) {
  const auto parts = split_text(text, ':');
  if (parts.size() != 3) return std::nullopt;
  const auto xmin = parsed_number<std::uint64_t>(parts[0]);
  const auto xmax = parsed_number<std::uint64_t>(parts[1]);
  if (!xmin || !xmax || *xmin > *xmax) return std::nullopt;
  Snapshot out{*xmin, *xmax, {}};
  if (parts[2].empty()) return out;
  for (const std::string_view one : split_text(parts[2], ',')) {
    const auto xid = parsed_number<std::uint64_t>(one);
    const std::uint64_t least = out.under_way.empty() ? *xmin : out.under_way.back() + 1;
    if (!xid || *xid < least || *xid >= *xmax) return std::nullopt;
    out.under_way.push_back(*xid);
  }
  return out;
}

std::string snapshot_text(const Snapshot& snapshot) {
  return fmt::format("{}:{}:{}", snapshot.xmin, snapshot.xmax, fmt::join(snapshot.under_way, ","));
}

Snapshot cut(Snapshot snapshot, std::size_t most) {
  if (snapshot.under_way.size() <= most) return snapshot;
  snapshot.xmax = snapshot.under_way[most];
  snapshot.under_way.resize(most);
  return snapshot;
}

std::optional<CursorPosition> parse_cursor(std::string_view text) {
  const auto parts = split_text(text, ' ');
  if ((parts.size() != 3 && parts.size() != 6) || parts[0] != "1") return std::nullopt;
  CursorPosition out;
  out.epoch = parts[1];
  if (parts[2] != "-") {
    out.base = parse_snapshot(parts[2]);
    if (!out.base) return std::nullopt;
  }
  if (parts.size() == 3) return out;
  out.target = parse_snapshot(parts[3]);
  const auto change = parsed_number<std::uint64_t>(parts[4]);
  const auto key = from_hex_text(parts[5]);
  if (!out.target || !change || !key) return std::nullopt;
  out.change = *change;
  out.key = *key;
  return out;
}

std::string cursor_text(const CursorPosition& position) {
  std::string out =
      fmt::format("1 {} {}", position.epoch, position.base ? snapshot_text(*position.base) : "-");
  if (!position.target) return out;
  out += fmt::format(" {} {} ", snapshot_text(*position.target), position.change);
  return out + hex_text(position.key);
}

}  // namespace stayd
