#include "daemon/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <span>

namespace stayd {

namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr Unit kDurations[] = {
    {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}};
constexpr Unit kSizes[] = {{"GB", 1u << 30},  {"MB", 1u << 20},  {"KB", 1u << 10}, {"B", 1},
                           {"GiB", 1u << 30}, {"MiB", 1u << 20}, {"KiB", 1u << 10}};

constexpr std::uint64_t kMaxDurationMs = 100ull * 366 * 86'400'000;
constexpr std::uint64_t kMaxSize = 1ull << 50;

// A whole number and one of the units, nothing else.
std::optional<std::uint64_t> parse_with_unit(std::string_view text, std::span<const Unit> units,
                                             std::uint64_t limit) {
  std::uint64_t number = 0;
  const auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc()) return std::nullopt;
  const std::string_view name(rest, static_cast<std::size_t>(text.data() + text.size() - rest));
  if (name.empty()) return number == 0 ? std::optional<std::uint64_t>(0) : std::nullopt;
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    if (number > limit / unit.factor) return std::nullopt;
    return number * unit.factor;
  }
  return std::nullopt;
}

std::string format_with_unit(std::uint64_t value, std::span<const Unit> units) {
  for (const Unit& unit : units) {
    if (value != 0 && value % unit.factor == 0) {
      return fmt::format("{}{}", value / unit.factor, unit.name);
    }
  }
  return "0";
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      const std::size_t substitution = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above + 1, row[j - 1] + 1, substitution});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::optional<Millis> parse_duration(std::string_view text) {
  const auto ms = parse_with_unit(text, kDurations, kMaxDurationMs);
  if (!ms) return std::nullopt;
  return Millis(static_cast<std::int64_t>(*ms));
}

std::string format_duration(Millis value) {
  return format_with_unit(static_cast<std::uint64_t>(value.count()), kDurations);
}

std::optional<ByteSize> parse_size(std::string_view text) {
  const auto bytes = parse_with_unit(text, kSizes, kMaxSize);
  if (!bytes) return std::nullopt;
  return ByteSize{*bytes};
}

std::string format_size(ByteSize value) {
  return format_with_unit(value.bytes, kSizes);
}

std::optional<FileMode> parse_file_mode(std::string_view text) {
  unsigned bits = 0;
  const char* end = text.data() + text.size();
  const auto [rest, failure] = std::from_chars(text.data(), end, bits, 8);
  if (failure != std::errc() || rest != end || bits > 0777) return std::nullopt;
  return FileMode{bits};
}

std::string format_file_mode(FileMode value) {
  return fmt::format("{:04o}", value.bits);
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, failure] = std::from_chars(text.data(), end, number);
  if (failure != std::errc() || rest != end) return std::nullopt;
  return number;
}

std::optional<Endpoint> parse_address(std::string_view text) {
  Endpoint endpoint;
  if (text.starts_with("unix:")) {
    endpoint.unix_path = text.substr(5);
    // sun_path holds 108 bytes with its end
    if (!endpoint.unix_path.starts_with('/') || endpoint.unix_path.size() > 107)
      return std::nullopt;
    endpoint.port = 0;
    return endpoint;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const auto port = parse_integer(text.substr(colon + 1));
  if (!port || *port < 0 || *port > 65'535) return std::nullopt;
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;  // an IPv6 address without brackets cannot be told from its port
  }
  if (host.empty() || host.find_first_of(" /@[]") != std::string_view::npos) return std::nullopt;
  endpoint.host = host;
  endpoint.port = static_cast<std::uint16_t>(*port);
  return endpoint;
}

std::string_view nearest_name(std::string_view name,
                              const std::vector<std::string_view>& candidates) {
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 2) + 1;
  if (name.size() > 200) return best;
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace stayd
