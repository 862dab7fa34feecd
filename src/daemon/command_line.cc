#include "daemon/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "base/version.h"
#include "daemon/config_keys.h"

namespace stayd {

namespace {

using Command = CommandLine::Command;

constexpr int kUsageError = 2;

// Flags of the settings, in the order of the table; a flag given several times is a list.
class SettingFlags {
 public:
  void add_to(CLI::App& app) {
    const Config defaults;
    for (const ConfigKey& key : config_keys()) {
      std::string help(key.help.substr(0, key.help.find(". ")));
      if (help.ends_with('.')) help.pop_back();
      add(app, key.path(), help, show_config_value(defaults, key));
    }
    add(app, "sessions.preset", "Presets of [[sessions]], separated by commas", "");
  }

  std::vector<std::pair<std::string, std::string>> given() const {
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto& [path, values] : values_) {
      if (!values.empty()) out.emplace_back(path, fmt::format("{}", fmt::join(values, ",")));
    }
    return out;
  }

 private:
  void add(CLI::App& app, const std::string& path, const std::string& help,
           const std::string& shown) {
    const std::string text =
        shown.empty() || shown == "\"\"" ? help : fmt::format("{} [{}]", help, shown);
    app.add_option("--" + path, values_[path], text)
        ->type_name("VALUE")
        ->group("Settings")
        ->take_all()
        ->expected(1);
  }
  std::map<std::string, std::vector<std::string>> values_;
};

class Parser {
 public:
  Parser() : app_("Keeps sessions alive when Redis fails.", "stayd") {
    app_.set_version_flag("--version", fmt::format("stayd {}", kVersion));
    app_.require_subcommand(1);
    app_.footer(
        "Examples:\n"
        "  stayd serve                                   127.0.0.1:6380 in front of "
        "127.0.0.1:6379\n"
        "  stayd serve --redis.url redis://cache:6379/0 --sessions.preset express\n"
        "  stayd check --config /etc/stayd/stayd.toml    what is wrong, before it matters\n"
        "  stayd status                                  what the running server believes\n"
        "  stayd backfill                                take over every key of Redis, again\n"
        "  stayd switch eu-west                          use another [[redis]] from now on\n"
        "  stayd ledger ls --match 'sess:*' --limit 20\n"
        "  stayd backup init --url postgresql://stayd@db/sessions\n"
        "\n"
        "Settings come from the file, from STAYD_... variables and from flags; the last one wins.\n"
        "Exit codes: 0 well, 1 failed, 2 usage or configuration.");
    add_serve();
    add_check();
    add_status();
    add_backfill();
    add_regions();
    add_ledger();
    add_backup();
    for (CLI::App* sub : app_.get_subcommands({})) wide(*sub);
    wide(app_);
  }

  ParsedCommandLine parse(std::vector<std::string> arguments) {
    ParsedCommandLine parsed;
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
    try {
      app_.parse(std::move(arguments));
    } catch (const CLI::ParseError& error) {
      std::ostringstream out, err;
      const int code = app_.exit(error, out, err);
      parsed.exit_code = code == 0 ? 0 : kUsageError;
      parsed.out = out.str();
      parsed.err = err.str();
      return parsed;
    }
    parsed.run = true;
    line_.command = chosen();
    parsed.command = std::move(line_);
    for (const SettingFlags* flags : {&serve_flags_, &check_flags_, &status_flags_,
                                      &backfill_flags_, &region_flags_, &ledger_flags_}) {
      const auto given = flags->given();
      parsed.command.settings.insert(parsed.command.settings.end(), given.begin(), given.end());
    }
    return parsed;
  }

 private:
  static void wide(CLI::App& app) { app.get_formatter()->column_width(36); }

  void add_config(CLI::App& app, SettingFlags& flags) {
    app.add_option("-c,--config", line_.config_path,
                   "The file; default $STAYD_CONFIG, else /etc/stayd/stayd.toml if it is there")
        ->type_name("FILE");
    flags.add_to(app);
  }

  void add_serve() {
    serve_ = app_.add_subcommand("serve", "Serve the Redis port and the HTTP port.");
    add_config(*serve_, serve_flags_);
    serve_->footer(
        "SIGTERM drains and ends; SIGHUP reads the file again (log level, sessions, "
        "password files).");
  }

  void add_check() {
    check_ = app_.add_subcommand("check", "Check the configuration and the Redis it names.");
    add_config(*check_, check_flags_);
    check_->add_flag("--print-reference", line_.print_reference, "Print every key, as Markdown");
    check_->footer("Exit codes: 0 no problem (advice may remain), 1 a problem, 2 configuration.");
  }

  void add_status() {
    status_ = app_.add_subcommand("status", "Show what the running server believes.");
    add_config(*status_, status_flags_);
    status_->add_flag("--json", line_.json, "As JSON");
  }

  void add_backfill() {
    backfill_ = app_.add_subcommand(
        "backfill",
        "Show how the running server takes over Redis' keys; start it if it has ended.");
    add_config(*backfill_, backfill_flags_);
    backfill_->add_flag("--json", line_.json, "As JSON, an object each second");
    backfill_->footer(
        "Ends with 0 when every key is taken over. It may be interrupted: the server goes on.");
  }

  void add_region_command(const std::string& verb, const char* help) {
    CLI::App* sub = app_.add_subcommand(verb, help);
    add_config(*sub, region_flags_);
    CLI::Option* name =
        sub->add_option("name", line_.region, "The [[redis]] of that name")->type_name("NAME");
    sub->callback([this, verb] {
      line_.region_verb = verb;
      if (line_.region.empty() && !line_.by_order) throw CLI::RequiredError("name, or --auto,");
    });
    if (verb != "switch") {
      name->required();
      return;
    }
    CLI::Option* by_order =
        sub->add_flag("--auto", line_.by_order, "The first [[redis]] is preferred again");
    name->excludes(by_order);
    sub->add_flag("--force", line_.force,
                  "Though not every key of the one in use is in the ledger");
    sub->footer("It is preferred from then on; ends with 0 when it is trusted.");
  }

  void add_regions() {
    add_region_command("switch", "Use another [[redis]], and prefer it.");
    add_region_command("drain", "Leave a [[redis]] alone: use another if there is one.");
    add_region_command("undrain", "Let a [[redis]] be used again.");
  }

  CLI::App* add_ledger_command(const char* name, const char* help) {
    CLI::App* sub = ledger_->add_subcommand(name, help);
    sub->fallthrough();
    wide(*sub);
    return sub;
  }

  void add_ledger() {
    ledger_ = app_.add_subcommand("ledger", "Look into the ledger; the server may be running.");
    ledger_->require_subcommand(1);
    add_config(*ledger_, ledger_flags_);
    CLI::App* ls = add_ledger_command("ls", "List keys: database, state, type, expiry, key.");
    CLI::App* get = add_ledger_command("get", "Show one key with its value.");
    CLI::App* out = add_ledger_command("export", "Every live key as one JSON object a line.");
    for (CLI::App* sub : {ls, get, out}) {
      sub->add_option("--db", line_.db, "Only this database")->check(CLI::Range(0, 15));
    }
    for (CLI::App* sub : {ls, out}) {
      sub->add_option("--match", line_.match, "Only keys that match, as in KEYS")
          ->type_name("GLOB");
      sub->add_option("--limit", line_.limit, "At most so many")->check(CLI::PositiveNumber);
      sub->add_flag("--tombs", line_.tombs, "Tombstones instead of live keys");
    }
    CLI::App* stats = add_ledger_command(
        "stats", "Count rows, and values by whether and how they are encrypted. Needs no key.");
    for (CLI::App* sub : {ls, get, stats}) sub->add_flag("--json", line_.json, "As JSON");
    get->add_option("key", line_.key, "The key")->required();
  }

  CLI::App* add_backup_command(const char* name, const char* help) {
    CLI::App* sub = backup_->add_subcommand(name, help);
    sub->fallthrough();
    wide(*sub);
    return sub;
  }

  void add_backup() {
    backup_ = app_.add_subcommand("backup",
                                  "Make or look into a database that several stayds will share "
                                  "(PostgreSQL, MariaDB, MySQL).");
    backup_->require_subcommand(1);
    backup_
        ->add_option("--url", line_.backup_url,
                     "postgresql://user@host:port/database?sslmode=..., as libpq takes it, or "
                     "mysql://user@host:port/database?ssl-mode=...")
        ->type_name("URL")
        ->required();
    backup_->add_option("--password-file", line_.password_file, "A file whose first line it is")
        ->type_name("FILE");
    backup_
        ->add_option("--encryption-key-file", line_.encryption_key_file,
                     "Values are encrypted: a file as of [at_rest] encryption_key_file")
        ->type_name("FILE");
    backup_->footer(
        "Without a password file: PGPASSWORD and ~/.pgpass, as with psql; with MySQL the URL's.");
    add_backup_command("init", "Create the schema, or tables; does nothing where they are there.");
    CLI::App* stats = add_backup_command("stats", "Count the rows.");
    CLI::App* get = add_backup_command("get", "Show one key with its value.");
    add_backup_command("purge", "Remove tombstones past their time and long expired rows.");
    for (CLI::App* sub : {stats, get}) sub->add_flag("--json", line_.json, "As JSON");
    get->add_option("--db", line_.db, "In this database of Redis")->check(CLI::Range(0, 15));
    get->add_option("key", line_.key, "The key")->required();
  }

  Command chosen_of_backup() const {
    const std::string name = backup_->get_subcommands().front()->get_name();
    if (name == "init") return Command::backup_init;
    if (name == "stats") return Command::backup_stats;
    if (name == "get") return Command::backup_get;
    return Command::backup_purge;
  }

  Command chosen() const {
    if (*backup_) return chosen_of_backup();
    if (*serve_) return Command::serve;
    if (*check_) return Command::check;
    if (*status_) return Command::status;
    if (*backfill_) return Command::backfill;
    if (!line_.region_verb.empty()) return Command::change_region;
    const std::string name = ledger_->get_subcommands().front()->get_name();
    if (name == "ls") return Command::ledger_ls;
    if (name == "get") return Command::ledger_get;
    if (name == "stats") return Command::ledger_stats;
    return Command::ledger_export;
  }

  CLI::App app_;
  CommandLine line_;
  SettingFlags serve_flags_, check_flags_, status_flags_, backfill_flags_, region_flags_,
      ledger_flags_;
  CLI::App *serve_ = nullptr, *check_ = nullptr, *status_ = nullptr, *backfill_ = nullptr,
           *ledger_ = nullptr, *backup_ = nullptr;
};

}  // namespace

ParsedCommandLine parse_command_line(std::vector<std::string> arguments) {
  if (arguments.empty()) arguments = {"--help"};
  return Parser().parse(std::move(arguments));
}

}  // namespace stayd
