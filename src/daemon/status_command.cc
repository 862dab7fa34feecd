#include <fmt/format.h>

#include <ostream>

#include "daemon/blocking_client.h"
#include "daemon/commands.h"
#include "daemon/pages.h"

namespace stayd {

namespace {
constexpr std::int64_t kTimeoutMs = 3'000;
}

std::optional<std::string> ask_server(const Config& config, std::string_view method,
                                      std::string_view path, Terminal terminal) {
  if (!config.http_address) {
    terminal.err << "stayd: [listen] http is \"off\": there is nobody to ask\n";
    return std::nullopt;
  }
  const auto answer = http_request(*config.http_address, method, path, kTimeoutMs);
  if (!answer) {
    terminal.err << fmt::format("stayd: no stayd answers: {}\n", answer.error().message);
    return std::nullopt;
  }
  if (answer->status != 200) {
    terminal.err << fmt::format("stayd: {} answers {} {} with HTTP status {}: {}\n",
                                config.http_address->text(), method, path, answer->status,
                                answer->body.substr(0, answer->body.find('\n')));
    return std::nullopt;
  }
  return answer->body;
}

int run_status(const Config& config, const CommandLine& line, Terminal terminal) {
  const auto json = ask_server(config, "GET", "/status.json", terminal);
  if (!json) return 1;
  if (line.json) {
    terminal.out << *json;
    return 0;
  }
  const auto table = render_status_table(*json);
  if (!table) {
    terminal.err << fmt::format("stayd: {}\n", table.error().message);
    return 1;
  }
  terminal.out << *table;
  return 0;
}

}  // namespace stayd
