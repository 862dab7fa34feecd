// `stayd switch`, `drain` and `undrain`.
#include <fmt/format.h>
#include <poll.h>

#include <chrono>
#include <ostream>

#include "daemon/commands.h"
#include "daemon/pages.h"

namespace stayd {

namespace {

constexpr int kLookMs = 100;
constexpr std::chrono::seconds kPatience{60};

// Waits until the one in use is the one named, and is trusted.
bool becomes_trusted(const Config& config, std::string_view name, Terminal terminal) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < end) {
    const auto status = ask_server(config, "GET", "/status.json", terminal);
    if (!status) return false;
    if (is_trusted_region(*status, name)) return true;
    ::poll(nullptr, 0, kLookMs);
  }
  terminal.err << fmt::format("stayd: {} is not trusted yet; `stayd status` tells more\n", name);
  return false;
}

}  // namespace

int run_change_region(const Config& config, const CommandLine& line, Terminal terminal) {
  const auto path =
      fmt::format("/{}?{}{}", line.region_verb, line.region, line.force ? "&force" : "");
  const auto answer = ask_server(config, "POST", path, terminal);
  if (!answer) return 1;
  terminal.out << *answer;
  terminal.out.flush();
  if (line.region_verb != "switch" || line.region.empty()) return 0;
  if (!becomes_trusted(config, line.region, terminal)) return 1;
  terminal.out << fmt::format("{} is trusted\n", line.region);
  return 0;
}

}  // namespace stayd
