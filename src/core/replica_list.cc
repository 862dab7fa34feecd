#include "core/replica_list.h"

#include <charconv>

#include "base/info.h"

namespace stayd {

namespace {

template <class Number>
Number number(std::string_view text) {
  Number value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// "ip=10.0.0.2,port=6379,...": the value of `name`; empty when absent.
std::string_view field(std::string_view line, std::string_view name) {
  while (!line.empty()) {
    const std::size_t comma = line.find(',');
    const std::string_view one = line.substr(0, comma);
    if (one.size() > name.size() && one.starts_with(name) && one[name.size()] == '=') {
      return one.substr(name.size() + 1);
    }
    if (comma == std::string_view::npos) break;
    line.remove_prefix(comma + 1);
  }
  return {};
}

}  // namespace

std::vector<NamedReplica> replicas_of(std::string_view info) {
  std::vector<NamedReplica> out;
  for (std::size_t i = 0; i < kMaxReplicas; ++i) {
    const auto line = info_field(info, "slave" + std::to_string(i));
    const auto ip = field(line, "ip");
    const auto port = field(line, "port");
    if (line.empty()) break;
    if (ip.empty() || number<std::uint16_t>(port) == 0) continue;
    out.push_back({std::string(ip).append(":").append(port), field(line, "state") == "online",
                   number<std::uint64_t>(field(line, "offset")),
                   number<std::int64_t>(field(line, "lag"))});
  }
  return out;
}

}  // namespace stayd
