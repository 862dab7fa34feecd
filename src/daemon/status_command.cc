#include <fmt/format.h>
#include <poll.h>

#include <boost/json.hpp>
#include <ostream>

#include "daemon/blocking_client.h"
#include "daemon/commands.h"
#include "daemon/pages.h"

namespace stayd {

namespace {

constexpr std::int64_t kTimeoutMs = 3'000;
constexpr int kPollMs = 500;

// /status.json of the running server; says what is wrong and gives nullopt when there is none.
std::optional<std::string> fetch_status(const Config& config, Terminal terminal) {
  if (!config.http_address) {
    terminal.err << "stayd: [listen] http is \"off\": there is nobody to ask\n";
    return std::nullopt;
  }
  const auto answer = http_get(*config.http_address, "/status.json", kTimeoutMs);
  if (!answer) {
    terminal.err << fmt::format("stayd: no stayd answers: {}\n", answer.error().message);
    return std::nullopt;
  }
  if (answer->status != 200) {
    terminal.err << fmt::format("stayd: {} answers with HTTP status {}\n",
                                config.http_address->text(), answer->status);
    return std::nullopt;
  }
  return answer->body;
}

}  // namespace

int run_status(const Config& config, const CommandLine& line, Terminal terminal) {
  const auto json = fetch_status(config, terminal);
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

int run_backfill(const Config& config, const CommandLine& line, Terminal terminal) {
  for (;;) {
    const auto text = fetch_status(config, terminal);
    if (!text) return 1;
    boost::json::error_code error;
    const auto root = boost::json::parse(boost::json::string_view(*text), error);
    const auto* object = error ? nullptr : root.if_object();
    const auto* complete = object == nullptr ? nullptr : object->if_contains("adoption_complete");
    const auto* adopted = object == nullptr ? nullptr : object->if_contains("adopted");
    if (complete == nullptr || adopted == nullptr || !complete->is_bool()) {
      terminal.err << "stayd: the answer is not the status of a stayd\n";
      return 1;
    }
    const bool done = complete->get_bool();
    terminal.out << fmt::format("{}: {} keys taken over\n", done ? "complete" : "under way",
                                boost::json::serialize(*adopted));
    if (done || !line.wait) return 0;
    terminal.out.flush();
    ::poll(nullptr, 0, kPollMs);
  }
}

}  // namespace stayd
