// The command line: subcommands, flags, help. Pure; main() acts on the result.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace stayd {

struct CommandLine {
  enum class Command {
    serve,
    check,
    status,
    ledger_ls,
    ledger_get,
    ledger_export,
    ledger_stats,
    backfill,
    change_region,
    backup_init,
    backup_stats,
    backup_get,
    backup_purge,
  };

  Command command = Command::serve;
  std::string config_path;                                    // --config
  std::vector<std::pair<std::string, std::string>> settings;  // "redis.url" -> value

  bool json = false;             // status, backfill, ledger ls, ledger get
  bool print_reference = false;  // check
  // switch, drain, undrain
  std::string region_verb;
  std::string region;
  bool by_order = false;  // in its place
  bool force = false;
  // ledger
  int db = -1;  // -1: every database; `get` takes it as 0
  std::string match = "*";
  bool tombs = false;
  std::int64_t limit = 0;  // 0: no limit
  std::string key;         // and of backup get
  // backup
  std::string backup_url;
  std::string password_file;
  std::string encryption_key_file;
};

// Either a command to run, or text to print and the exit code to end with.
struct ParsedCommandLine {
  CommandLine command;
  bool run = false;
  int exit_code = 0;
  std::string out;  // for standard output (help, version)
  std::string err;  // for standard error (usage mistakes; exit code 2)
};

// `arguments` without the program's name.
ParsedCommandLine parse_command_line(std::vector<std::string> arguments);

}  // namespace stayd
