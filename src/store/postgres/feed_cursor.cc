#include "store/postgres/feed_cursor.h"

#include <fmt/format.h>

#include <charconv>

namespace stayd {
namespace {

template <class T>
std::optional<T> number(std::string_view text, int base = 10) {
  T out{};
  const auto read = std::from_chars(text.data(), text.data() + text.size(), out, base);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return out;
}

std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> out;
  for (std::size_t from = 0;;) {
    const std::size_t to = text.find(by, from);
    out.push_back(text.substr(from, to - from));
    if (to == std::string_view::npos) return out;
    from = to + 1;
  }
}

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const auto byte = number<std::uint8_t>(text.substr(i, 2), 16);
    if (!byte) return std::nullopt;
    out.push_back(static_cast<char>(*byte));
  }
  return out;
}

}  // namespace

std::optional<Snapshot> parse_snapshot(std::string_view text) {
  const auto parts = split(text, ':');
  if (parts.size() != 3) return std::nullopt;
  const auto xmin = number<std::uint64_t>(parts[0]);
  const auto xmax = number<std::uint64_t>(parts[1]);
  if (!xmin || !xmax || *xmin > *xmax) return std::nullopt;
  Snapshot out{*xmin, *xmax, {}};
  if (parts[2].empty()) return out;
  for (const std::string_view one : split(parts[2], ',')) {
    const auto xid = number<std::uint64_t>(one);
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
  const auto parts = split(text, ' ');
  if ((parts.size() != 3 && parts.size() != 6) || parts[0] != "1") return std::nullopt;
  CursorPosition out;
  out.epoch = parts[1];
  if (parts[2] != "-") {
    out.base = parse_snapshot(parts[2]);
    if (!out.base) return std::nullopt;
  }
  if (parts.size() == 3) return out;
  out.target = parse_snapshot(parts[3]);
  const auto change = number<std::uint64_t>(parts[4]);
  const auto key = from_hex(parts[5]);
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
  for (const char c : position.key) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

}  // namespace stayd
