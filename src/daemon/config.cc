#include "daemon/config.h"

#include <fmt/format.h>

#include <filesystem>
#include <sstream>

#include "base/small_file.h"
#include "daemon/config_reader.h"
#include "daemon/credentials.h"

namespace stayd {

namespace {

constexpr std::size_t kMaxConfigBytes = 1 << 20;

// The first line of a password file into `password`.
void read_password(ConfigReader& reader, std::string_view key, const std::string& path,
                   std::string& password) {
  if (path.empty()) return;
  const auto first_line = read_password_file(path);
  if (first_line) {
    password = *first_line;
  } else {
    reader.problem(reader.origin(key), fmt::format("{}: {}", key, first_line.error().message));
  }
}

void read_backup_password(ConfigReader& reader, BackupConfig& backup) {
  std::string ignored;  // read again for each connection; now only whether it can be
  read_password(reader, "backup.password_file", backup.password_file, ignored);
}

void read_redis_passwords(ConfigReader& reader, RedisConfig& redis) {
  if (redis.password.empty()) {
    read_password(reader, "redis.password_file", redis.password_file, redis.target.password);
  }
  if (redis.sentinel_password.empty()) {
    read_password(reader, "redis.sentinel_password_file", redis.sentinel_password_file,
                  redis.sentinel_password);
  }
}

// Kubernetes gives every pod variables about each service; one called "stayd" looks like ours.
bool is_service_link(std::string_view name) {
  return name.starts_with("STAYD_PORT") || name.starts_with("STAYD_SERVICE_");
}

void read_environment(const std::map<std::string, std::string>& environment, ConfigReader& reader,
                      std::vector<std::string>& warnings) {
  std::map<std::string, const ConfigKey*, std::less<>> known;
  std::vector<std::string_view> names = {"STAYD_SESSIONS_PRESET", "STAYD_CONFIG"};
  for (const ConfigKey& key : config_keys()) known[key.environment()] = &key;
  for (const auto& [name, key] : known) names.push_back(name);
  for (const auto& [name, value] : environment) {
    if (!name.starts_with("STAYD_") || is_service_link(name) || name == "STAYD_CONFIG") continue;
    if (name == "STAYD_SESSIONS_PRESET") {
      reader.set_presets(value, name);
    } else if (const auto found = known.find(name); found != known.end()) {
      reader.set(*found->second, RawValue{.text = value, .list = {}}, name);
    } else {
      const auto near = nearest_name(name, names);
      warnings.push_back(fmt::format("environment variable {} is not used{}", name,
                                     near.empty() ? "" : fmt::format("; did you mean {}?", near)));
    }
  }
}

void read_flags(const std::vector<std::pair<std::string, std::string>>& flags,
                ConfigReader& reader) {
  for (const auto& [path, value] : flags) {
    const std::string origin = "--" + path;
    if (path == "sessions.preset") {
      reader.set_presets(value, origin);
      continue;
    }
    const std::size_t dot = path.find('.');
    const ConfigKey* key = dot == std::string::npos
                               ? find_config_key("", path)
                               : find_config_key(path.substr(0, dot), path.substr(dot + 1));
    if (key == nullptr) {
      reader.problem(origin, "is not a setting");
      continue;
    }
    reader.set(*key, RawValue{.text = value, .list = {}}, origin);
  }
}

std::string value_or(const std::map<std::string, std::string>& environment, const char* name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

}  // namespace

Result<Config> parse_config(std::string_view text, std::string_view name) {
  ConfigReader reader;
  read_toml(text, name, reader);
  reader.finish();
  if (auto problems = reader.problems(); !problems.empty()) {
    return make_error(Errc::invalid, std::move(problems));
  }
  return std::move(reader.config());
}

std::string default_state_folder(const std::map<std::string, std::string>& environment, bool root) {
  const std::string given = value_or(environment, "STATE_DIRECTORY");  // systemd: may list several
  if (!given.empty()) return given.substr(0, given.find(':'));
  if (root) return "/var/lib/stayd";
  const std::string state = value_or(environment, "XDG_STATE_HOME");
  if (state.starts_with('/')) return state + "/stayd";
  const std::string home = value_or(environment, "HOME");
  return home.starts_with('/') ? home + "/.local/state/stayd" : "/var/lib/stayd";
}

Result<LoadedConfig> load_config(const ConfigSources& sources) {
  LoadedConfig loaded;
  ConfigReader reader;
  if (!sources.file.empty()) {
    std::error_code ignored;
    const auto text = read_small_file(sources.file, kMaxConfigBytes);
    if (text) {
      loaded.file = sources.file;
      read_toml(*text, sources.file, reader);
    } else if (sources.file_must_exist || std::filesystem::exists(sources.file, ignored)) {
      return text.error();
    }
  }
  read_environment(sources.environment, reader, loaded.warnings);
  read_flags(sources.flags, reader);
  Config& config = reader.config();
  if (config.ledger.path.empty()) {
    config.ledger.path = default_state_folder(sources.environment, sources.root);
  }
  reader.for_each_redis([&](ConfigReader& one) {
    RedisConfig& redis = one.config().redis;
    redis.aws = aws_key_source(sources.environment);
    for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
      if (redis.iam.region.empty()) redis.iam.region = value_or(sources.environment, name);
    }
  });
  reader.finish();
  if (config.listen.password.empty()) {
    read_password(reader, "listen.password_file", config.listen.password_file,
                  config.listen.password);
  }
  read_redis_passwords(reader, config.redis);
  for (RedisConfig& redis : config.standby) read_redis_passwords(reader, redis);
  read_backup_password(reader, config.backup);
  if (auto problems = reader.problems(); !problems.empty()) {
    return make_error(Errc::invalid, std::move(problems));
  }
  loaded.config = std::move(config);
  return loaded;
}

}  // namespace stayd
