#include "daemon/command_line.h"

#include <gtest/gtest.h>

#include "base/version.h"
#include "daemon/golden_test_util.h"

namespace stayd {
namespace {

using Command = CommandLine::Command;

TEST(CommandLine, HelpPages) {
  expect_golden(parse_command_line({"--help"}).out, "tests/golden/help.txt");
  expect_golden(parse_command_line({"serve", "--help"}).out, "tests/golden/help_serve.txt");
  expect_golden(parse_command_line({"check", "--help"}).out, "tests/golden/help_check.txt");
  expect_golden(parse_command_line({"ledger", "ls", "--help"}).out,
                "tests/golden/help_ledger_ls.txt");
  EXPECT_EQ(parse_command_line({}).out, parse_command_line({"--help"}).out);
  EXPECT_EQ(parse_command_line({"--version"}).out, std::string("stayd ") + kVersion + "\n");
  EXPECT_EQ(parse_command_line({"--help"}).exit_code, 0);
}

TEST(CommandLine, SettingsBecomeFlags) {
  const auto parsed =
      parse_command_line({"serve", "--redis.url", "redis://h", "--listen.resp", "127.0.0.1:1",
                          "--listen.resp=unix:/x", "--config", "f", "--strict_logout", "true"});
  ASSERT_TRUE(parsed.run) << parsed.err;
  EXPECT_EQ(parsed.command.command, Command::serve);
  EXPECT_EQ(parsed.command.config_path, "f");
  using Pair = std::pair<std::string, std::string>;
  EXPECT_EQ(parsed.command.settings, (std::vector<Pair>{{"listen.resp", "127.0.0.1:1,unix:/x"},
                                                        {"redis.url", "redis://h"},
                                                        {"strict_logout", "true"}}));
}

TEST(CommandLine, LedgerCommands) {
  const auto ls = parse_command_line(
      {"ledger", "ls", "--db", "3", "--match", "s:*", "--tombs", "--limit", "5"});
  ASSERT_TRUE(ls.run) << ls.err;
  EXPECT_EQ(ls.command.command, Command::ledger_ls);
  EXPECT_EQ(ls.command.db, 3);
  EXPECT_EQ(ls.command.match, "s:*");
  EXPECT_TRUE(ls.command.tombs);
  EXPECT_EQ(ls.command.limit, 5);

  const auto get = parse_command_line({"ledger", "get", "sess:1", "--ledger.path", "/x"});
  ASSERT_TRUE(get.run) << get.err;
  EXPECT_EQ(get.command.command, Command::ledger_get);
  EXPECT_EQ(get.command.key, "sess:1");
  EXPECT_EQ(get.command.settings.front().second, "/x");

  EXPECT_EQ(parse_command_line({"ledger", "export"}).command.command, Command::ledger_export);
  EXPECT_EQ(parse_command_line({"backfill", "--json"}).command.command, Command::backfill);
  EXPECT_TRUE(parse_command_line({"status", "--json"}).command.json);
}

TEST(CommandLine, BackupCommands) {
  const std::string url = "postgresql://stayd@db/sessions";
  const auto init = parse_command_line({"backup", "init", "--url", url, "--password-file", "/p"});
  ASSERT_TRUE(init.run) << init.err;
  EXPECT_EQ(init.command.command, Command::backup_init);
  EXPECT_EQ(init.command.backup_url, url);
  EXPECT_EQ(init.command.password_file, "/p");
  const auto get = parse_command_line({"backup", "--url", url, "get", "--db", "3", "k", "--json"});
  ASSERT_TRUE(get.run) << get.err;
  EXPECT_EQ(get.command.command, Command::backup_get);
  EXPECT_EQ(get.command.db, 3);
  EXPECT_EQ(get.command.key, "k");
  EXPECT_TRUE(get.command.json);
  EXPECT_EQ(parse_command_line({"backup", "stats", "--url", url}).command.command,
            Command::backup_stats);
  EXPECT_EQ(parse_command_line({"backup", "purge", "--url", url}).command.command,
            Command::backup_purge);
}

TEST(CommandLine, MistakesEndWithTwo) {
  const std::vector<std::vector<std::string>> cases = {{"sevre"},
                                                       {"serve", "--redis.ulr", "x"},
                                                       {"serve", "--redis.url"},
                                                       {"ledger"},
                                                       {"backup"},
                                                       {"backup", "init"},
                                                       {"backup", "--url", "x"},
                                                       {"backup", "get", "--url", "x"},
                                                       {"switch"},
                                                       {"switch", "a", "--auto"},
                                                       {"drain"},
                                                       {"ledger", "get"},
                                                       {"ledger", "ls", "--db", "99"},
                                                       {"serve", "extra"},
                                                       {"ledger", "ls", "--limit", "-1"}};
  for (const auto& arguments : cases) {
    const auto parsed = parse_command_line(arguments);
    EXPECT_FALSE(parsed.run) << arguments.back();
    EXPECT_EQ(parsed.exit_code, 2) << arguments.back();
    EXPECT_FALSE(parsed.err.empty()) << arguments.back();
  }
}

TEST(CommandLine, Regions) {
  auto parsed = parse_command_line({"switch", "eu-west", "--force"});
  ASSERT_TRUE(parsed.run) << parsed.err;
  EXPECT_EQ(parsed.command.command, CommandLine::Command::change_region);
  EXPECT_EQ(parsed.command.region_verb, "switch");
  EXPECT_EQ(parsed.command.region, "eu-west");
  EXPECT_TRUE(parsed.command.force);
  parsed = parse_command_line({"switch", "--auto"});
  ASSERT_TRUE(parsed.run) << parsed.err;
  EXPECT_EQ(parsed.command.region, "");
  parsed = parse_command_line({"undrain", "eu-west"});
  ASSERT_TRUE(parsed.run) << parsed.err;
  EXPECT_EQ(parsed.command.region_verb, "undrain");
}

}  // namespace
}  // namespace stayd
