// [backup] in the configuration: what is read, what is refused beside it, what is never shown.
#include <gtest/gtest.h>

#include "daemon/config.h"

namespace stayd {
namespace {

constexpr const char* kUrl = "[backup]\nurl = \"postgresql://stayd@db/sessions\"\n";

std::string refused(const std::string& text) {
  const auto config = parse_config(text);
  return config ? "" : config.error().message;
}

TEST(BackupConfig, IsRead) {
  const auto config = parse_config(
      "[backup]\nurl = \"mysql://u:p%40@db:3307/s?ssl-mode=disabled\"\npassword = \"secret\"\n"
      "connections = 8\nconnect_timeout = \"3s\"\ndeadline = \"40ms\"\nconfirm_wait = \"0s\"\n");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->backup.place, "mysql://db:3307/s");
  EXPECT_EQ(config->backup.connections, 8);
  EXPECT_EQ(config->backup.connect_timeout, Millis(3000));
  EXPECT_EQ(config->backup.deadline, Millis(40));
  EXPECT_EQ(config->backup.confirm_wait, Millis(0));
}

TEST(BackupConfig, PlacesHoldNoSecrets) {
  const struct {
    const char* url;
    const char* place;
  } cases[] = {
      {"postgresql://u:secret@db:5433/s?sslmode=verify-full", "postgresql://db:5433/s"},
      {"postgres://a,b/s?target_session_attrs=read-write&password=secret", "postgresql://a,b/s"},
      {"postgres://a:1,b/s", "postgresql://a:1,b/s"},
      {"postgresql:///s?host=/run/postgresql", "postgresql:///run/postgresql/s"},
      {"mariadb://u:secret@/s?socket=/run/mysqld.sock", "mysql:///run/mysqld.sock/s"},
  };
  for (const auto& one : cases) {
    const auto config = parse_config(std::string("[backup]\nurl = \"") + one.url + "\"\n");
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->backup.place, one.place);
  }
}

TEST(BackupConfig, MistakesAreNamed) {
  const struct {
    std::string text;
    const char* says;
  } cases[] = {
      {"[backup]\nurl = \"redis://db\"\n",
       "stayd.toml:2: [backup] url: backup: the url must begin with \"postgresql://\", "
       "\"mysql://\" or \"dynamodb://\""},
      {"[backup]\nurl = \"mysql://u@db:0/s\"\n",
       "stayd.toml:2: [backup] url: backup: the url: the port is no number from 1 to 65535"},
      {"[backup]\nconnections = 9\n",
       "stayd.toml:2: [backup] connections = 9 is not between 1 and 8"},
      {"[backup]\npassword = \"x\"\n",
       "stayd.toml:2: [backup] url is empty: nothing uses password"},
      {"[backup]\nurl = \"dynamodb://eu-west-1/sessions\"\npassword_file = \"/x\"\n",
       "stayd.toml:3: [backup] password_file: a DynamoDB has no password; credentials are found as "
       "by the AWS CLI"},
      {std::string(kUrl) + "password = \"x\"\npassword_file = \"/x\"\n",
       "stayd.toml:4: [backup] password_file stands beside [backup] password; keep one of them"},
      {std::string(kUrl) + "password_command = [\"x\"]\n",
       "stayd.toml:3: [backup] password_command: \"x\" is not the whole path of a program"},
  };
  for (const auto& one : cases) EXPECT_EQ(refused(one.text), one.says);
}

TEST(BackupConfig, WhatDoesNotGoWithItYetIsRefused) {
  const struct {
    std::string text;
    const char* says;
  } cases[] = {
      {"[redis]\nurl = \"redis+cluster://a\"\n",
       "stayd.toml:2: [redis] url = \"redis+cluster://...\" does not go with a [backup] yet"},
      {"[[redis]]\nname = \"a\"\nurl = \"redis://a\"\n[[redis]]\nname = \"b\"\nurl = "
       "\"redis://b\"\n",
       "stayd.toml:2: more than one [[redis]] does not go with a [backup] yet"},
      {"mode = \"observe\"\n", "stayd.toml:1: mode = \"observe\" does not go with a [backup] yet"},
      {"strict_logout = true\n",
       "stayd.toml:1: strict_logout = true does not go with a [backup] yet"},
      {"[redis]\nreplica_reads = true\n",
       "stayd.toml:2: [redis] replica_reads = true does not go with a [backup] yet"},
  };
  for (const auto& one : cases) {
    EXPECT_EQ(refused(one.text), "") << "without a backup";
    EXPECT_EQ(refused(one.text + kUrl), one.says);
  }
}

TEST(BackupConfig, MessagesHoldNoSecrets) {
  for (const char* url : {"postgresql://u:secret%zz@db/s", "postgresql://u:secret@[db/s",
                          "postgresql://u:secret@db/s?secret", "mysql://u:secret%zz@db/s"}) {
    const std::string text = refused(std::string("[backup]\nurl = \"") + url + "\"\n");
    EXPECT_NE(text, "") << url;
    EXPECT_EQ(text.find("secret"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace stayd
