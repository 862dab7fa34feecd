// Where passwords come from, on a real loop, with real files and programs.
#include "daemon/credentials.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace stayd {
namespace {

class RedisLoginsTest : public testing::Test, public EventSink {
 protected:
  void on_event(const Event& event) override { told += std::string(event.name) + " "; }
  // Turns the loop until the password is this one, for 10 s at most.
  bool becomes(Credentials& credentials, std::string_view password) {
    const auto until_us = loop.now().mono_us + 10'000'000;
    while (loop.now().mono_us < until_us) {
      if (credentials.known() && credentials.login().password == password) return true;
      loop.run_once(5);
    }
    return false;
  }
  std::string write(const std::string& text) {
    const std::string path = testing::TempDir() + "stayd-credentials";
    std::ofstream(path + ".fresh") << text << "\n";
    std::rename((path + ".fresh").c_str(), path.c_str());
    return path;
  }

  Loop loop;
  Counters counters;
  RedisConfig config;
  std::string told;
};

TEST_F(RedisLoginsTest, AFileIsReadWhenItHasChangedAndAfterARefusal) {
  config.password_file = write("one");
  config.target.password = "one";
  config.target.user = "app";
  RedisLogins logins(loop, config, *this, counters);
  EXPECT_EQ(logins.redis().login().user, "app");
  EXPECT_EQ(logins.redis().login().password, "one");
  write("two");
  logins.redis().look(loop.now());
  EXPECT_EQ(logins.redis().login().password, "two");
  write("three");
  EXPECT_TRUE(logins.redis().refused(logins.redis().login(), loop.now()));
  EXPECT_EQ(logins.redis().login().password, "three");
  EXPECT_EQ(told, "password_changed password_changed ");
}

TEST_F(RedisLoginsTest, ACommandsOutputArrivesLater) {
  config.password_command = {"/bin/cat", write("one")};
  RedisLogins logins(loop, config, *this, counters);
  EXPECT_FALSE(logins.redis().known());
  logins.redis().look(loop.now());
  EXPECT_FALSE(logins.redis().known());
  EXPECT_TRUE(becomes(logins.redis(), "one"));
  // Not again so soon; but once when Redis refuses it, a second after the last time.
  write("two");
  for (int i = 0; i < 20; ++i) {
    logins.redis().look(loop.now());
    loop.run_once(5);
  }
  EXPECT_EQ(logins.redis().login().password, "one");
  const auto until_us = loop.now().mono_us + 1'100'000;
  while (loop.now().mono_us < until_us) loop.run_once(5);
  EXPECT_FALSE(logins.redis().refused(logins.redis().login(), loop.now()));
  EXPECT_TRUE(becomes(logins.redis(), "two"));
}

TEST_F(RedisLoginsTest, AHangingCommandEndsWithIt) {
  config.password_command = {"/usr/bin/tail", "-f", "/dev/null"};
  const auto began_us = loop.now().mono_us;
  {
    RedisLogins logins(loop, config, *this, counters);
    logins.redis().look(loop.now());
    loop.run_once(5);
  }
  loop.run_once(5);  // what it had to say arrives at nobody's
  EXPECT_LT(loop.now().mono_us - began_us, 5'000'000);
  EXPECT_EQ(told, "");
}

TEST_F(RedisLoginsTest, TokensAreSignedForEachConnection) {
  const std::string path = write("[default]\naws_access_key_id = A\naws_secret_access_key = s");
  config.iam = {"", "cache", "eu-west-1", false};
  config.aws = {{}, path, "default"};
  config.target.user = "app";
  RedisLogins logins(loop, config, *this, counters);
  Credentials& redis = logins.redis();
  redis.look({0, 1'795'953'600'000});
  const Login first = redis.login();
  EXPECT_TRUE(first.password.starts_with("cache/?Action=connect&User=app&"));
  redis.look({0, 1'795'953'601'000});
  EXPECT_NE(redis.login().password, first.password);
  EXPECT_EQ(redis.serial(), first.serial);
  write("broken");
  redis.look({0, 1'795'953'602'000});
  redis.look({0, 1'795'953'603'000});
  EXPECT_EQ(told, "password_unreadable ");
  EXPECT_NE(redis.login().password.find("20261129T120003Z"), std::string::npos);
  write("[default]\naws_access_key_id = B\naws_secret_access_key = t");
  redis.look({0, 1'795'953'604'000});
  EXPECT_NE(redis.serial(), first.serial);
}

}  // namespace
}  // namespace stayd
