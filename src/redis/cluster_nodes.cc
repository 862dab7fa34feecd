#include "redis/cluster_nodes.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace stayd {

namespace {

// A thousand nodes whose slots are scattered: far from any real one.
constexpr std::size_t kMaxText = 16u << 20;
constexpr std::size_t kMaxId = 64;

struct Line {
  ClusterNode node;
  std::map<std::uint16_t, std::string> moving;
  bool myself = false;
  bool handshake = false;
};

template <class Number>
bool read_number(std::string_view text, Number& value) {
  const auto end = text.data() + text.size();
  const auto [stop, ec] = std::from_chars(text.data(), end, value);
  return ec == std::errc{} && stop == end;
}

// What stands before the separator, which is taken off with it; all, without one.
std::string_view take(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= kMaxId && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
}

bool read_address(std::string_view text, NodeNames names, ClusterNode& node) {
  Endpoint& address = node.address;
  std::string_view place = take(text, ',');
  const std::string_view hostname = take(text, ',');
  place = place.substr(0, place.find('@'));
  const std::size_t colon = place.rfind(':');
  if (colon == std::string_view::npos) return false;
  if (!read_number(place.substr(colon + 1), address.port)) return false;
  std::string_view host = place.substr(0, colon);
  const bool named = !hostname.empty() && hostname != "?" && hostname.find('=') == hostname.npos;
  std::string_view other = named ? hostname : std::string_view();
  if (names == NodeNames::hostnames && named) std::swap(host, other);
  const auto printable = [](char c) { return c > ' ' && c <= '~'; };
  if (!std::ranges::all_of(host, printable)) return false;
  if (host.empty() || host == "?") address.port = 0;
  if (address.port != 0) address.host = host;
  if (address.port != 0) node.other_host = other;
  return true;
}

bool read_flags(std::string_view text, Line& line) {
  if (text.empty()) return false;
  while (!text.empty()) {
    const std::string_view flag = take(text, ',');
    if (flag == "myself") line.myself = true;
    if (flag == "master") line.node.primary = true;
    if (flag == "fail" || flag == "fail?") line.node.failing = true;
    if (flag == "handshake") line.handshake = true;
  }
  return true;
}

bool read_slots(std::string_view text, Line& line) {
  while (!text.empty()) {
    std::string_view word = take(text, ' ');
    if (word.starts_with('[') && word.ends_with(']')) {
      word = word.substr(1, word.size() - 2);
      const std::size_t arrow = std::min(word.find("-<-"), word.find("->-"));
      if (arrow == word.npos) continue;
      const auto slot = parse_slot_range(word.substr(0, arrow));
      const bool comes = word[arrow + 1] == '<';
      if (slot) line.moving[slot->first] = comes ? line.node.id : word.substr(arrow + 3);
      continue;
    }
    const auto range = parse_slot_range(word);
    if (!range) return false;
    line.node.slots.push_back(*range);
  }
  return true;
}

bool read_line(std::string_view text, NodeNames names, Line& line) {
  const std::string_view id = take(text, ' ');
  const std::string_view address = take(text, ' ');
  const std::string_view flags = take(text, ' ');
  const std::string_view primary = take(text, ' ');
  const std::string_view ping = take(text, ' ');
  const std::string_view pong = take(text, ' ');
  const std::string_view epoch = take(text, ' ');
  const std::string_view link = take(text, ' ');
  std::int64_t at = 0;
  if (!is_id(id) || !read_address(address, names, line.node)) return false;
  if (!read_flags(flags, line) || (primary != "-" && !is_id(primary))) return false;
  if (!read_number(ping, at) || !read_number(pong, at)) return false;
  if (!read_number(epoch, line.node.config_epoch)) return false;
  if (link != "connected" && link != "disconnected") return false;
  line.node.id = id;
  if (primary != "-") line.node.primary_id = primary;
  return read_slots(text, line);
}

}  // namespace

std::optional<ClusterView> parse_cluster_nodes(std::string_view text, const Endpoint& asked,
                                               NodeNames names) {
  if (text.size() > kMaxText) return std::nullopt;
  ClusterView view;
  bool found = false;
  while (!text.empty()) {
    std::string_view row = take(text, '\n');
    if (row.ends_with('\r')) row.remove_suffix(1);
    Line line;
    if (row.empty()) continue;
    if (!read_line(row, names, line) || (line.myself && found)) return std::nullopt;
    if (line.myself) {
      found = true;
      view.myself = view.nodes.size();
      view.moving = line.moving;
      if (!line.node.address.known()) line.node.address = asked;
    }
    if (line.myself || !line.handshake) view.nodes.push_back(std::move(line.node));
  }
  if (!found) return std::nullopt;
  return view;
}

}  // namespace stayd
