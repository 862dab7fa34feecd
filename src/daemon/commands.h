// The subcommands besides `serve`: each takes the loaded configuration, prints, and returns the
// exit code (0 well, 1 failed, 2 usage or configuration). Blocking; main thread.
#pragma once

#include <iosfwd>

#include "daemon/command_line.h"
#include "daemon/config.h"

namespace stayd {

// Where a command prints.
struct Terminal {
  std::ostream& out;
  std::ostream& err;
};

int run_check(const LoadedConfig& loaded, Terminal terminal);
int run_status(const Config& config, const CommandLine& line, Terminal terminal);
int run_ledger(const Config& config, const CommandLine& line, Terminal terminal);
int run_backfill(const Config& config, const CommandLine& line, Terminal terminal);

}  // namespace stayd
