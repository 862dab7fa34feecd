// A PostgreSQL that takes writes only after connections to it were opened.
#include <gtest/gtest.h>

#include "store/test_backups.h"

namespace stayd::test {
namespace {

void set_read_only(const PostgresServer& server, const std::string& on) {
  const auto admin = server.connect("postgres");
  admin->exec("SET default_transaction_read_only = off");
  admin->exec("ALTER SYSTEM SET default_transaction_read_only = " + on);
  admin->exec("SELECT pg_reload_conf()");
}

// Who had found it read-only never listened, and heard of others by polling alone.
TEST(PostgresSwitchover, OpenedWhileItWasReadOnlyAConnectionHearsOfOthersAfterwards) {
  PostgresServer server;
  const std::string database = server.make_database();
  set_read_only(server, "on");
  BackupOptions options = server.options(database);
  options.look_interval_us = 10'000;
  DatabaseClient client(options);
  const auto writable = [&client] { return client.status().writable; };
  wait_for(
      [&] {
        client.read({});
        return client.status().up;
      },
      "up");
  EXPECT_FALSE(writable());
  EXPECT_EQ(client.recorder.hints, 0);
  set_read_only(server, "off");
  wait_for(writable, "writable");
  wait_for(
      [&] {
        client.status();
        return client.recorder.hints > 0;
      },
      "it listens");
}

TEST(PostgresSwitchover, ACopyThatTakesNoWritesYetIsSaid) {
  PostgresServer server;
  const std::string database = server.make_database();
  server.exec("UPDATE stayd.meta SET home = 'elsewhere'", database);
  set_read_only(server, "on");
  const BackupOptions options = server.options(database);
  wait_for([&] { return server.exec("SHOW transaction_read_only", database) == "on"; },
           "read-only");
  DatabaseClient client(options);
  client.read({});
  EXPECT_EQ(client.last_error.code, Errc::unavailable);
  EXPECT_NE(client.last_error.message.find("takes no writes yet"), std::string::npos)
      << client.last_error.message;
}

}  // namespace
}  // namespace stayd::test
