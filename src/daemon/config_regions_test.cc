// Several [[redis]] blocks.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "daemon/config.h"

namespace stayd {
namespace {

constexpr const char* kTwo =
    "[[redis]]\nname = \"a\"\nurl = \"redis://one\"\nslow_deadline = \"6s\"\n"
    "[[redis]]\nname = \"b\"\nurl = \"rediss://u:p@two:7\"\ntls_verify = false\n";

TEST(ConfigOfRegions, SeveralRedisesStandInOrderAndShareWhatCountsForAll) {
  const auto config = parse_config(std::string(kTwo) + "[regions]\nfailback_after = \"1h\"\n");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->redis.name, "a");
  EXPECT_EQ(config->redis.target.endpoint.host, "one");
  ASSERT_EQ(config->standby.size(), 1u);
  const RedisConfig& b = config->standby[0];
  EXPECT_EQ(b.name, "b");
  EXPECT_EQ(b.target.endpoint.text(), "two:7");
  EXPECT_EQ(b.target.password, "p");
  EXPECT_FALSE(b.tls.verify);
  EXPECT_TRUE(config->redis.tls.verify);
  EXPECT_EQ(b.slow_deadline, Millis(6'000));
  EXPECT_EQ(config->regions.failback_after, Millis(3'600'000));
}

TEST(ConfigOfRegions, MistakesInSeveralRedisesNameTheLine) {
  const std::pair<std::string, std::string> cases[] = {
      {"connect_timeout = \"1s\"",
       "stayd.toml:9: [redis] connect_timeout counts for every [[redis]]: it stands in the first "
       "block"},
      {"ulr = \"x\"", "stayd.toml:9: [redis] ulr is not a key; did you mean url?"},
      {"password_file = \"/x\"\npassword = \"y\"",
       "stayd.toml:9: [redis] password_file stands beside [redis] password; keep one of them"},
      {"[[redis]]\nname = \"a\"\nurl = \"redis://three\"",
       "stayd.toml:9: [[redis]] name = \"a\" is another block's"},
      {"[[redis]]\nurl = \"redis://three\"",
       "stayd.toml:9: [[redis]] needs a name of letters, digits, \".\", \"_\" and \"-\""},
      {"[[redis]]\nname = \"c\"\nurl = \"redis+cluster://three\"",
       "stayd.toml:9: [[redis]] url: either all blocks are a Redis Cluster, or none is"},
      {"[[redis]]\nname = \"c\"\nurl = \"redis://three/2\"",
       "stayd.toml:9: [[redis]] url: all blocks need the same database"},
      {"[[redis]]\nname = \"c\"\nurl = \"redis://127.0.0.1:6380\"",
       "stayd.toml:11: [redis] url names 127.0.0.1:6380, where stayd itself listens"},
  };
  for (const auto& [more, message] : cases) {
    const auto config = parse_config(std::string(kTwo) + more + "\n");
    ASSERT_FALSE(config) << more;
    EXPECT_EQ(config.error().message, message);
  }
}

TEST(ConfigOfRegions, PasswordFilesAndTheRegionOfAws) {
  const std::string folder = testing::TempDir() + "stayd-regions";
  std::filesystem::create_directory(folder);
  const auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream(folder + "/" + name) << text;
    return folder + "/" + name;
  };
  ConfigSources sources;
  const std::string secret = write("secret", "hunter2\n");
  sources.file = write("a.toml", std::string(kTwo) + "[[redis]]\nname = \"c\"\nurl = " +
                                     "\"redis://three\"\npassword_file = \"" + secret + "\"\n");
  sources.environment = {{"AWS_REGION", "eu-west-1"}};
  const auto loaded = load_config(sources);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.standby[1].target.password, "hunter2");
  EXPECT_EQ(loaded->config.standby[1].iam.region, "eu-west-1");
  EXPECT_EQ(loaded->config.redis.target.password, "");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace stayd
