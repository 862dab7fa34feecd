// The subcommands besides `serve`: each takes the loaded configuration, prints, and returns the
// exit code (0 well, 1 failed, 2 usage or configuration). Blocking; main thread.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/command_line.h"
#include "daemon/config.h"

namespace stayd {

// Where a command prints.
struct Terminal {
  std::ostream& out;
  std::ostream& err;
  bool live = false;  // `out` is a terminal: a line may be written over
};

// The body of the running server's answer over HTTP; says what is wrong and gives nullopt when
// there is none, or it is no success.
std::optional<std::string> ask_server(const Config& config, std::string_view method,
                                      std::string_view path, Terminal terminal);

int run_check(const LoadedConfig& loaded, Terminal terminal);
int run_status(const Config& config, const CommandLine& line, Terminal terminal);
int run_ledger(const Config& config, const CommandLine& line, Terminal terminal);
int run_change_region(const Config& config, const CommandLine& line, Terminal terminal);
// Takes no configuration.
int run_backup(const CommandLine& line, Terminal terminal);
int run_backfill(const Config& config, const CommandLine& line, Terminal terminal);

}  // namespace stayd
