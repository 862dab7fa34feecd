// Units of the configuration file: durations, sizes, file modes, addresses, and the search for the
// name somebody meant. Pure functions; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "redis/transport.h"

namespace stayd {

using Millis = std::chrono::milliseconds;

struct ByteSize {
  std::uint64_t bytes = 0;
  friend bool operator==(const ByteSize&, const ByteSize&) = default;
};

struct FileMode {
  unsigned bits = 0;
  friend bool operator==(const FileMode&, const FileMode&) = default;
};

// "50ms", "5s", "15m", "24h", "30d"; "0" alone means zero. nullopt: anything else, or over 100
// years.
std::optional<Millis> parse_duration(std::string_view text);
std::string format_duration(Millis value);  // the largest unit that is exact: "90s", "2m"

// "512B", "16KB", "64MB", "2GB"; KiB and the like mean the same: powers of 1024.
std::optional<ByteSize> parse_size(std::string_view text);
std::string format_size(ByteSize value);

// Octal: "0660" or "660", at most 0777.
std::optional<FileMode> parse_file_mode(std::string_view text);
std::string format_file_mode(FileMode value);

// Digits only, optional minus. nullopt when out of range.
std::optional<std::int64_t> parse_integer(std::string_view text);

// "host:port", "[v6]:port" or "unix:/path".
std::optional<Endpoint> parse_address(std::string_view text);

// The candidate with the smallest edit distance to `name` (the first of equals); "" when there is
// none or when the nearest shares too little with it to be what was meant.
std::string_view nearest_name(std::string_view name,
                              const std::vector<std::string_view>& candidates);

}  // namespace stayd
