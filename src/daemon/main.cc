#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

#include "daemon/command_line.h"
#include "daemon/commands.h"
#include "daemon/config_keys.h"
#include "daemon/server.h"

extern char** environ;

namespace stayd {
namespace {

constexpr int kUsageError = 2;
constexpr const char* kDefaultFile = "/etc/stayd/stayd.toml";

std::map<std::string, std::string> read_environment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) {
      out.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return out;
}

ConfigSources find_sources(const CommandLine& line) {
  ConfigSources sources;
  sources.environment = read_environment();
  sources.flags = line.settings;
  sources.root = ::geteuid() == 0;
  const auto named = sources.environment.find("STAYD_CONFIG");
  if (!line.config_path.empty()) {
    sources.file = line.config_path;
  } else if (named != sources.environment.end() && !named->second.empty()) {
    sources.file = named->second;
  } else {
    sources.file = kDefaultFile;
    sources.file_must_exist = false;
  }
  return sources;
}

bool is_backup(CommandLine::Command command) {
  using Command = CommandLine::Command;
  return command == Command::backup_init || command == Command::backup_stats ||
         command == Command::backup_get || command == Command::backup_purge;
}

int run(const CommandLine& line) {
  using Command = CommandLine::Command;
  const Terminal terminal{std::cout, std::cerr, ::isatty(STDOUT_FILENO) == 1};
  if (line.command == Command::check && line.print_reference) {
    std::cout << render_config_reference();
    return 0;
  }
  if (is_backup(line.command)) return run_backup(line, terminal);
  const ConfigSources sources = find_sources(line);
  auto loaded = load_config(sources);
  if (!loaded) {
    std::cerr << loaded.error().message << '\n';
    return kUsageError;
  }
  switch (line.command) {
    case Command::serve:
      return run_serve(sources, std::move(*loaded));
    case Command::check:
      return run_check(*loaded, terminal);
    case Command::status:
      return run_status(loaded->config, line, terminal);
    case Command::backfill:
      return run_backfill(loaded->config, line, terminal);
    case Command::change_region:
      return run_change_region(loaded->config, line, terminal);
    case Command::ledger_ls:
    case Command::ledger_get:
    case Command::ledger_export:
    case Command::ledger_stats:
      return run_ledger(loaded->config, line, terminal);
    case Command::backup_init:
    case Command::backup_stats:
    case Command::backup_get:
    case Command::backup_purge:
      break;  // above
  }
  return kUsageError;
}

}  // namespace
}  // namespace stayd

int main(int argc, char** argv) {
  const stayd::ParsedCommandLine parsed =
      stayd::parse_command_line(std::vector<std::string>(argv + 1, argv + argc));
  std::cout << parsed.out;
  std::cerr << parsed.err;
  return parsed.run ? stayd::run(parsed.command) : parsed.exit_code;
}
