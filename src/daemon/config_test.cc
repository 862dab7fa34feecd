#include "daemon/config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "daemon/config_keys.h"
#include "daemon/golden_test_util.h"

namespace stayd {
namespace {

std::string error_of(std::string_view text) {
  const auto result = parse_config(text);
  return result ? "(no error)" : result.error().message;
}

TEST(Config, DefaultsNeedNoFile) {
  const auto config = parse_config("");
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_EQ(config->resp_addresses.size(), 1u);
  EXPECT_EQ(config->resp_addresses[0].text(), "127.0.0.1:6380");
  EXPECT_EQ(config->http_address->text(), "127.0.0.1:8380");
  EXPECT_EQ(config->redis.target.endpoint.text(), "127.0.0.1:6379");
  EXPECT_EQ(config->mode, "protect");
  EXPECT_EQ(config->max_island, Millis(900'000));
  EXPECT_TRUE(config->blind_accept);
  EXPECT_FALSE(config->strict_logout);
  EXPECT_FALSE(config->admin);
  EXPECT_EQ(config->near_cache_size.bytes, 16u << 20);
  EXPECT_TRUE(config->sessions.empty());
}

TEST(Config, ReadsEverySection) {
  const auto config = parse_config(R"(
mode = "observe"
strict_logout = true
[listen]
resp = ["127.0.0.1:0", "unix:/run/stayd/redis.sock"]
http = "off"
unix_mode = "0600"
max_clients = 5
password = "s"
[[users]]
name = "bob"
password = "b"
[redis]
url = "redis://cache:6390/1"
user = "app"
password = "p"
command_deadline = "30ms"
[ledger]
path = "/tmp/x"
cache_size = "16MB"
header_cache_size = "1MB"
[near_cache]
size = "1MB"
[log]
format = "json"
level = "debug"
[[sessions]]
preset = "express"
unknown = "anonymous"
max_lifetime = "30d"
[[sessions]]
match = "lock:*"
class = "lock"
[[sessions]]
match = "s:*"
fence = "30s"
external_delete = "heal"
)");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->mode, "observe");
  EXPECT_EQ(config->resp_addresses.size(), 2u);
  EXPECT_FALSE(config->http_address);
  EXPECT_EQ(config->listen.unix_mode.bits, 0600u);
  EXPECT_EQ(config->users.size(), 1u);
  EXPECT_EQ(config->redis.target.user, "app");
  EXPECT_EQ(config->redis.target.password, "p");
  EXPECT_EQ(config->redis.command_deadline, Millis(30));
  EXPECT_EQ(config->ledger.cache_size.bytes, 16u << 20);
  EXPECT_EQ(config->ledger.header_cache_size.bytes, 1u << 20);
  ASSERT_EQ(config->sessions.size(), 3u);
  EXPECT_EQ(config->sessions[0].match, "sess:*");
  EXPECT_EQ(config->sessions[0].unknown, UnknownPolicy::anonymous);
  EXPECT_EQ(config->sessions[0].max_lifetime_ms, 30ll * 86'400'000);
  EXPECT_EQ(config->sessions[0].fence, Fence::seconds30);
  EXPECT_EQ(config->sessions[1].key_class, KeyClass::lock);
  EXPECT_TRUE(config->sessions[2].external_delete_heals);
}

TEST(Config, APresetsLocksKeepTheirPromises) {
  const auto config =
      parse_config("[[sessions]]\npreset = \"php\"\nfence = \"forever\"\nunknown = \"error\"\n");
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_EQ(config->sessions.size(), 2u);
  EXPECT_EQ(config->sessions[0].key_class, KeyClass::lock);
  EXPECT_EQ(config->sessions[0].fence, Fence::off);
  EXPECT_EQ(config->sessions[1].fence, Fence::forever);
}

// Each row: the text, and the whole message.
TEST(Config, EveryMistakeNamesFileLineAndKey) {
  const struct {
    const char* text;
    const char* says;
  } cases[] = {
      {"[redis]\nconnect_timout = \"5s\"\n",
       "stayd.toml:2: [redis] connect_timout is not a key; did you mean connect_timeout?"},
      {"[reddis]\nurl = \"x\"\n", "stayd.toml:1: [reddis] is not a section; did you mean [redis]?"},
      {"\nmoed = \"observe\"\n", "stayd.toml:2: moed is not a key; did you mean mode?"},
      {"[redis]\nmode = \"observe\"\n",
       "stayd.toml:2: [redis] mode is not a key; mode is a key above the first [section]"},
      {"url = \"redis://h\"\n", "stayd.toml:1: url is not a key; url is a key of [redis]"},
      {"mode = \"protekt\"\n", "stayd.toml:1: mode = \"protekt\" is not one of: protect, observe"},
      {"admin = 1\n", "stayd.toml:1: admin = 1 is not true or false"},
      {"[redis]\nslow_deadline = 5\n",
       "stayd.toml:2: [redis] slow_deadline = 5 is not a duration such as \"50ms\", \"5s\", "
       "\"15m\", "
       "\"24h\" or \"30d\""},
      {"[redis]\nconnect_timeout = \"2h\"\n",
       "stayd.toml:2: [redis] connect_timeout = \"2h\" is not between \"10ms\" and \"1m\""},
      {"[near_cache]\nsize = \"lots\"\n",
       "stayd.toml:2: [near_cache] size = \"lots\" is not a size such as \"16KB\" or \"64MB\""},
      {"[ledger]\ncache_size = \"1KB\"\n",
       "stayd.toml:2: [ledger] cache_size = \"1KB\" is not between \"1MB\" and \"64GB\""},
      {"[listen]\nmax_clients = 0\n",
       "stayd.toml:2: [listen] max_clients = 0 is not between 1 and 1000000"},
      {"[listen]\nunix_mode = \"rw\"\n",
       "stayd.toml:2: [listen] unix_mode = \"rw\" is not a file mode such as \"0660\""},
      {"[listen]\nresp = [1]\n",
       "stayd.toml:2: [listen] resp = the value is not a list of texts such as [\"a\", \"b\"]"},
      {"[listen]\nresp = [\"6380\"]\n",
       "stayd.toml:2: [listen] resp: \"6380\" is not \"host:port\" or \"unix:/path\""},
      {"[listen]\nresp = []\n",
       "stayd.toml:2: [listen] resp and tls are empty; give at least one address"},
      {"[listen]\nhttp = \"8380\"\n",
       "stayd.toml:2: [listen] http = \"8380\" is not \"host:port\", \"unix:/path\" or \"off\""},
      {"[listen]\npassword = 5\n",
       "stayd.toml:2: [listen] password = (hidden) is not text in quotes"},
      {"[redis]\nurl = \"redis+cluster://h/1\"\n",
       "stayd.toml:2: [redis] url: a Cluster has database 0 and no other, and its URL no "
       "parameters: redis+cluster://[user:password@]host[:port],host[:port]"},
      {"[redis]\nurl = \"rediss://h\"\ntls_cert_file = \"c\"\n",
       "stayd.toml:3: [redis] tls_cert_file needs tls_key_file beside it"},
      {"[listen]\ntls = [\"127.0.0.1:6390\"]\n",
       "stayd.toml:2: [listen] tls needs tls_cert_file and tls_key_file"},
      {"[listen]\ntls_cert_file = \"c\"\n",
       "stayd.toml:2: [listen] tls is empty: nothing uses tls_cert_file"},
      {"[redis]\ntls_ca_file = \"ca\"\n",
       "stayd.toml:2: [redis] url is not rediss://: this connection would not be encrypted"},
      {"[redis]\nurl = \"redis://127.0.0.1:6380\"\n",
       "stayd.toml:2: [redis] url names 127.0.0.1:6380, where stayd itself listens"},
      {"[redis]\nuser = \"bob\"\n", "stayd.toml:2: [redis] user \"bob\" has no password"},
      {"[redis]\nsentinel_user = \"bob\"\n",
       "stayd.toml:2: [redis] sentinel_user \"bob\" has no password"},
      {"[redis]\nsentinel_password = \"x\"\n",
       "stayd.toml:2: [redis] url names no Sentinels (redis+sentinel://) to give this password to"},
      {"[redis]\nurl = \"redis+sentinel://s/main\"\nsentinel_password = \"x\"\n"
       "sentinel_password_file = \"/x\"\n",
       "stayd.toml:4: [redis] sentinel_password_file stands beside [redis] sentinel_password; keep "
       "one "
       "of them"},
      {"[redis]\npassword = \"a\"\npassword_file = \"b\"\n",
       "stayd.toml:3: [redis] password_file stands beside [redis] password; keep one of them"},
      {"[at_rest]\nencryption_key = \"a\"\nencryption_key_file = \"b\"\n",
       "stayd.toml:3: [at_rest] encryption_key_file stands beside [at_rest] encryption_key; keep "
       "one of them"},
      {"[at_rest]\nencryption_key_command = [\"x\"]\n",
       "stayd.toml:2: [at_rest] encryption_key_command: \"x\" is not the whole path of a program"},
      {"[at_rest]\nencryption_key = 12345\n",
       "stayd.toml:2: [at_rest] encryption_key = (hidden) is not text in quotes"},
      {"[redis]\npassword_command = [\"/bin/x\"]\npassword_file = \"b\"\n",
       "stayd.toml:2: [redis] password_command stands beside [redis] password_file; keep one of "
       "them"},
      {"[redis]\niam_cache = \"c\"\nuser = \"u\"\niam_region = \"r\"\nurl = \"redis://h\"\n",
       "stayd.toml:2: [redis] iam_cache needs TLS: a url with rediss://"},
      {"[redis]\niam_cache = \"C\"\nuser = \"u\"\niam_region = \"r\"\nurl = \"rediss://h\"\n",
       "stayd.toml:2: [redis] iam_cache = \"C\" is not in lower case, as ElastiCache names it"},
      {"[redis]\niam_cache = \"c\"\nurl = \"rediss://h\"\n",
       "stayd.toml:2: [redis] iam_cache needs redis.user, the id of the ElastiCache user\n"
       "stayd.toml:2: [redis] iam_cache needs iam_region, or AWS_REGION in the environment"},
      {"[redis]\niam_cache = \"c\"\nuser = \"u\"\niam_region = \"r\"\nurl = \"rediss://h\"\n"
       "password_file = \"f\"\n",
       "stayd.toml:2: [redis] iam_cache stands beside [redis] password_file; keep one of them"},
      {"[redis]\niam_serverless = true\n", "stayd.toml:2: [redis] iam_cache is empty"},
      {"[redis]\npassword_command = [\"vault\", \"read\"]\n",
       "stayd.toml:2: [redis] password_command: \"vault\" is not the whole path of a program"},
      {"[redis]\nlogin_probe_interval = \"2h\"\n",
       "stayd.toml:2: [redis] login_probe_interval = \"2h\" is not between \"0\" and \"1h\""},
      {"[redis]\nlogout_wait = \"2s\"\n",
       "stayd.toml:2: [redis] logout_wait = \"2s\" is not between \"0\" and \"1s\""},
      {"[redis]\nreplicas = [\"r:1\"]\n",
       "stayd.toml:2: [redis] replicas are asked only with replica_reads = true"},
      {"[redis]\nreplica_reads = true\nreplicas = [\"r:1\", \"unix:/s\"]\n",
       "stayd.toml:3: [redis] replicas: \"unix:/s\" is not \"host:port\""},
      {"[redis]\nreplica_reads = true\nreplicas = [\"r:1\"]\nurl = \"redis+cluster://a\"\n",
       "stayd.toml:3: [redis] replicas: a Cluster names them itself"},
      {"[redis]\nsentinel_password = 5\n",
       "stayd.toml:2: [redis] sentinel_password = (hidden) is not text in quotes"},
      {"[redis]\ncommand_deadline = \"200ms\"\n",
       "stayd.toml:2: [redis] command_deadline = \"200ms\" must not exceed command_deadline_max = "
       "\"100ms\""},
      {"[redis]\nheartbeat_interval = \"200ms\"\n",
       "stayd.toml:2: [redis] heartbeat_deadline = \"300ms\" must be shorter than "
       "heartbeat_interval = \"200ms\""},
      {"[[sessions]]\npreset = \"expres\"\n",
       "stayd.toml:2: [[sessions]] preset = \"expres\" is not a preset; did you mean express?"},
      {"[[sessions]]\nmach = \"s:*\"\nmatch = \"s:*\"\n",
       "stayd.toml:2: [[sessions]] mach is not a key; did you mean match?"},
      {"[[sessions]]\nfence = \"off\"\n",
       "stayd.toml:1: [[sessions]] needs either preset or match"},
      {"[[sessions]]\nmatch = \"s:*\"\nfence = \"45s\"\n",
       "stayd.toml:3: [[sessions]] fence = \"45s\" is not one of: off, 30s, forever"},
      {"[[sessions]]\nmatch = \"s:*\"\nmax_lifetime = \"long\"\n",
       "stayd.toml:3: [[sessions]] max_lifetime = \"long\" is not a duration such as \"24h\" or "
       "\"30d\""},
      {"[[sessions]]\nmatch = \"s:*\"\nunknown = 1\n",
       "stayd.toml:3: [[sessions]] unknown is not text in quotes"},
      {"[[sessions]]\npreset = \"php\"\nclass = \"lock\"\n",
       "stayd.toml:1: [[sessions]] class goes with match; a preset knows its classes"},
      {"[sessions]\npreset = \"php\"\n",
       "stayd.toml:1: [sessions] is written with two brackets: [[sessions]]"},
      {"sessions = 5\n", "stayd.toml:1: sessions is a list of blocks: write [[sessions]]"},
      {"[[users]]\nname = \"bob\"\n", "stayd.toml:1: [[users]] needs name and password"},
  };
  for (const auto& c : cases) EXPECT_EQ(error_of(c.text), c.says) << c.text;
}

TEST(Config, NotTomlNamesTheLine) {
  const std::string error = error_of("mode = \"protect\"\n[redis\n");
  EXPECT_TRUE(error.starts_with("stayd.toml:2: this is not TOML: ")) << error;
}

// Found by fuzzing: on each of these toml++ 3.3 stopped the process or did what is not defined.
TEST(Config, CharactersWhereTomlHasNone) {
  const std::string says =
      "stayd.toml:2: this is not TOML: a control character, or one beyond ASCII outside quotes";
  EXPECT_EQ(error_of(std::string_view("\n[\0a[\n", 6)), says);
  EXPECT_EQ(error_of("\n[red\xcc\xa2"), says);
  EXPECT_EQ(error_of("# \"\nm\xc3\xa9 = 1\n"), says);
  EXPECT_TRUE(error_of("mode = \"protect\"\n[\n").starts_with("stayd.toml:2: this is not TOML: "));
  // Between quotes and in comments anything goes.
  EXPECT_EQ(
      error_of(
          "# \xc3\xa9\n[[users]]\nname = \"\xc3\xa9\\\"\xc3\xa9\"\n"
          "password = \'\'\'a\n\xc3\xa9\'\'\'\n[listen]\npassword = \"\"\"\\\n\xc3\xa9\"\"\"\n"),
      "(no error)");
}

TEST(Config, AllMistakesAreTold) {
  const std::string error = error_of("moed = \"x\"\n[redis]\nulr = \"y\"\n");
  EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 1) << error;
}

class LoadConfig : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "stayd-config-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string write(const std::string& name, const std::string& text) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path) << text;
    return path;
  }
  std::string folder_;
};

TEST_F(LoadConfig, FlagsBeatEnvironmentBeatsFileBeatsDefaults) {
  ConfigSources sources;
  sources.file = write("a.toml",
                       "[redis]\nurl = \"redis://file\"\nslow_deadline = \"6s\"\n"
                       "connect_timeout = \"1s\"\n");
  sources.environment = {{"STAYD_REDIS_URL", "redis://env"},
                         {"STAYD_REDIS_SLOW_DEADLINE", "7s"},
                         {"STAYD_LISTEN_RESP", "127.0.0.1:1, unix:/x"},
                         {"STAYD_ADMIN", "true"},
                         {"HOME", "/home/bob"}};
  sources.flags = {{"redis.url", "redis://flag"}, {"mode", "observe"}};
  const auto loaded = load_config(sources);
  ASSERT_TRUE(loaded) << loaded.error().message;
  const Config& config = loaded->config;
  EXPECT_EQ(config.redis.target.endpoint.host, "flag");
  EXPECT_EQ(config.redis.slow_deadline, Millis(7'000));
  EXPECT_EQ(config.redis.connect_timeout, Millis(1'000));
  EXPECT_EQ(config.mode, "observe");
  EXPECT_TRUE(config.admin);
  ASSERT_EQ(config.resp_addresses.size(), 2u);
  EXPECT_EQ(config.resp_addresses[1].unix_path, "/x");
  EXPECT_EQ(config.ledger.path, "/home/bob/.local/state/stayd");
}

TEST_F(LoadConfig, EveryKeyHasAnEnvironmentVariableAndAFlag) {
  for (const ConfigKey& key : config_keys()) {
    Config defaults;
    ConfigSources by_environment, by_flag;
    by_environment.environment = {{key.environment(), "\x01"}};
    by_flag.flags = {{key.path(), "\x01"}};
    const auto field = key.field(defaults);
    // Free text takes anything; every other type refuses this, which proves that it was looked at.
    if (std::holds_alternative<std::string*>(field) && key.choices.empty()) continue;
    const auto environment = load_config(by_environment);
    const auto flag = load_config(by_flag);
    ASSERT_FALSE(environment) << key.path();
    ASSERT_FALSE(flag) << key.path();
    EXPECT_TRUE(environment.error().message.starts_with(key.environment() + ": " + key.label()))
        << environment.error().message;
    EXPECT_TRUE(flag.error().message.starts_with("--" + key.path() + ": " + key.label()))
        << flag.error().message;
  }
}

TEST_F(LoadConfig, UnknownVariablesAreWarnedOfUnknownFlagsAreErrors) {
  ConfigSources sources;
  sources.environment = {{"STAYD_REDIS_ULR", "x"},
                         {"STAYD_SERVICE_HOST", "10.0.0.1"},
                         {"STAYD_PORT_6380_TCP", "tcp://10.0.0.1"}};
  const auto loaded = load_config(sources);
  ASSERT_TRUE(loaded);
  ASSERT_EQ(loaded->warnings.size(), 1u);
  EXPECT_EQ(loaded->warnings[0],
            "environment variable STAYD_REDIS_ULR is not used; did you mean STAYD_REDIS_URL?");
  sources.flags = {{"redis.ulr", "x"}};
  ASSERT_FALSE(load_config(sources));
}

TEST_F(LoadConfig, PresetsFromTheEnvironmentReplaceTheBlocksOfTheFile) {
  ConfigSources sources;
  sources.file = write("a.toml", "[[sessions]]\nmatch = \"x:*\"\n");
  sources.environment = {{"STAYD_SESSIONS_PRESET", "express, php"}};
  const auto loaded = load_config(sources);
  ASSERT_TRUE(loaded) << loaded.error().message;
  ASSERT_EQ(loaded->config.sessions.size(), 3u);
  sources.environment = {{"STAYD_SESSIONS_PRESET", "expres"}};
  const auto wrong = load_config(sources);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().message,
            "STAYD_SESSIONS_PRESET: \"expres\" is not a preset; did you mean express?");
}

TEST_F(LoadConfig, PasswordFiles) {
  ConfigSources sources;
  const std::string secret = write("secret", "hunter2\nsecond line\n");
  sources.flags = {{"redis.password_file", secret}, {"listen.password_file", secret}};
  const auto loaded = load_config(sources);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.redis.target.password, "hunter2");
  EXPECT_EQ(loaded->config.listen.password, "hunter2");

  sources.flags = {{"redis.password_file", folder_ + "/none"}};
  const auto missing = load_config(sources);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message, "--redis.password_file: redis.password_file: " + folder_ +
                                         "/none: No such file or directory");
}

TEST_F(LoadConfig, AMissingFileIsAnErrorOnlyWhenItWasNamed) {
  ConfigSources sources;
  sources.file = folder_ + "/none.toml";
  EXPECT_FALSE(load_config(sources));
  sources.file_must_exist = false;
  const auto loaded = load_config(sources);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->file, "");
}

TEST(StateFolder, Order) {
  EXPECT_EQ(default_state_folder({{"STATE_DIRECTORY", "/s/a:/s/b"}}, true), "/s/a");
  EXPECT_EQ(default_state_folder({{"HOME", "/root"}}, true), "/var/lib/stayd");
  EXPECT_EQ(default_state_folder({{"XDG_STATE_HOME", "/x"}, {"HOME", "/h"}}, false), "/x/stayd");
  EXPECT_EQ(default_state_folder({{"HOME", "/h"}}, false), "/h/.local/state/stayd");
}

TEST(Config, ReferenceIsUpToDate) {
  expect_golden(render_config_reference(), "docs/config.md");
}

TEST(Config, TheExampleInThePackageIsValid) {
  const auto path = std::filesystem::path(__FILE__).parent_path() / "../../packaging/stayd.toml";
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  const auto config = parse_config(text.str(), "packaging/stayd.toml");
  EXPECT_TRUE(config) << config.error().message;
}

}  // namespace
}  // namespace stayd
