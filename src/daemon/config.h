// The configuration: what stayd.toml, the environment and the flags say, as plain values. The table
// of keys (`config_keys.h`) drives reading, overriding and the reference; it is the only place that
// names a key. Pure but for `load_config`, which reads files; any thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "core/policy.h"
#include "daemon/iam_token.h"
#include "daemon/redis_url.h"
#include "daemon/units.h"
#include "net/tls.h"

namespace stayd {

struct UserConfig {
  std::string name;
  std::string password;
};

struct ListenConfig {
  std::vector<std::string> resp = {"127.0.0.1:6380"};
  std::vector<std::string> tls;  // addresses
  TlsOptions tls_files;
  std::string http = "127.0.0.1:8380";
  FileMode unix_mode{0660};
  std::int64_t max_clients = 10'000;
  std::string password;
  std::string password_file;
};

struct RedisConfig {
  std::string name;  // empty: there is only one
  std::string url = "redis://127.0.0.1:6379/0";
  std::string user;
  std::string password;
  std::string password_file;
  std::vector<std::string> password_command;
  Millis login_probe_interval{60'000};
  IamUser iam;       // the user is the target's
  AwsKeySource aws;  // from the environment, by load_config
  TlsOptions tls;
  std::string sentinel_user;
  std::string sentinel_password;
  std::string sentinel_password_file;
  Millis connect_timeout{500};
  Millis retry_max{30'000};
  Millis command_deadline{50};
  Millis command_deadline_max{100};
  Millis slow_deadline{5'000};
  Millis heartbeat_interval{400};
  bool hidden_servers = false;
  Millis heartbeat_deadline{300};
  Millis logout_wait{0};
  std::int64_t logout_wait_replicas = 1;
  bool replica_reads = false;
  std::vector<std::string> replicas;

  RedisTarget target;  // worked out of the above
};

struct RegionsConfig {
  std::string failover = "auto";
  Millis failover_after{30'000};
  Millis failback_after{5 * 60'000};
};

struct LedgerConfig {
  std::string path;  // empty until load_config chose the state folder
  Millis sync_interval{100};
  ByteSize cache_size{8u << 20};
  ByteSize header_cache_size{12u << 20};
};

struct AtRestConfig {
  // Each of these three: master keys, the first one in use.
  std::string encryption_key;
  std::string encryption_key_file;
  std::vector<std::string> encryption_key_command;
  std::string compression = "none";
};

// A database that the fleet's stayds share (docs/adr/0016).
struct BackupConfig {
  std::string url;  // empty: none
  std::string password;
  std::string password_file;
  std::vector<std::string> password_command;
  std::int64_t connections = 4;
  Millis connect_timeout{5'000};
  Millis deadline{100};
  Millis confirm_wait{250};

  std::string place;  // of the url, for people; worked out
};

struct LogConfig {
  std::string format = "auto";
  std::string level = "info";
};

struct Config {
  std::string mode = "protect";
  Millis max_island{15 * 60'000};
  bool strict_logout = false;
  bool blind_accept = true;
  bool admin = false;
  ListenConfig listen;
  RedisConfig redis;  // [redis], or the first of [[redis]]
  std::vector<RedisConfig>
      standby;  // the further ones, in order; what counts for all as in `redis`
  RegionsConfig regions;
  LedgerConfig ledger;
  AtRestConfig at_rest;
  BackupConfig backup;
  ByteSize near_cache_size{16u << 20};
  LogConfig log;
  std::vector<UserConfig> users;
  std::vector<SessionPolicy> sessions;  // presets expanded; empty: every key is a session

  // Worked out from the above by `finish`, `load_config`.
  std::vector<Endpoint> resp_addresses;
  std::optional<Endpoint> http_address;  // nullopt: off
};

// Reads the text of a stayd.toml and checks it. `name` stands in messages. Errors: `invalid`; one
// sentence a line, each naming file, line and key. Opens no file: password files and the ledger's
// default folder are `load_config`'s. password_command is run by whoever needs the password.
Result<Config> parse_config(std::string_view text, std::string_view name = "stayd.toml");

// Where settings come from; a later one wins: defaults, file, environment, flags.
struct ConfigSources {
  std::string file;  // empty: none
  bool file_must_exist = true;
  std::map<std::string, std::string> environment;
  std::vector<std::pair<std::string, std::string>> flags;  // "redis.url" -> value; lists: commas
  bool root = false;                                       // chooses the default ledger folder
};

struct LoadedConfig {
  Config config;
  std::string file;                   // the file that was read; empty: none
  std::vector<std::string> warnings;  // one sentence each: unknown STAYD_ variables
};

Result<LoadedConfig> load_config(const ConfigSources& sources);

// $STATE_DIRECTORY, /var/lib/stayd for root, $XDG_STATE_HOME/stayd or ~/.local/state/stayd.
std::string default_state_folder(const std::map<std::string, std::string>& environment, bool root);

}  // namespace stayd
