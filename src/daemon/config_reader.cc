#include "daemon/config_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "store/open_backup.h"

namespace stayd {

void ConfigReader::set(const ConfigKey& key, const RawValue& value, std::string origin) {
  if (const auto wrong = set_config_value(config_, key, value)) {
    problem(origin, fmt::format("{} {}", key.label(), *wrong));
  }
  origins_[key.path()] = std::move(origin);
}

void ConfigReader::set_presets(std::string_view names, std::string origin) {
  std::vector<SessionPolicy> blocks;
  while (!names.empty()) {
    const std::size_t comma = names.find(',');
    std::string_view name = names.substr(0, comma);
    names = comma == std::string_view::npos ? "" : names.substr(comma + 1);
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    const auto preset = preset_policies(name);
    if (!preset) {
      const auto known = nearest_name(name, preset_names());
      problem(origin, known.empty()
                          ? fmt::format("\"{}\" is not a preset", name)
                          : fmt::format("\"{}\" is not a preset; did you mean {}?", name, known));
      continue;
    }
    blocks.insert(blocks.end(), preset->begin(), preset->end());
  }
  config_.sessions = std::move(blocks);
}

void ConfigReader::add_sessions(std::vector<SessionPolicy> blocks) {
  for (SessionPolicy& block : blocks) config_.sessions.push_back(std::move(block));
}

void ConfigReader::problem(std::string_view origin, std::string_view text) {
  constexpr std::size_t kMaxProblems = 50;
  if (problems_.size() < kMaxProblems) problems_.push_back(fmt::format("{}: {}", origin, text));
}

std::string ConfigReader::problems() const {
  return fmt::format("{}", fmt::join(problems_, "\n"));
}

std::string ConfigReader::origin(std::string_view path) const {
  const auto found = origins_.find(path);
  return found == origins_.end() ? "default" : found->second;
}

void ConfigReader::check_order(std::string_view smaller, Millis a, std::string_view larger,
                               Millis b, bool strict) {
  if (strict ? a < b : a <= b) return;
  // Named after the key somebody wrote.
  const bool wrote_smaller = origins_.contains(fmt::format("redis.{}", smaller));
  problem(origin(fmt::format("redis.{}", wrote_smaller ? smaller : larger)),
          fmt::format("[redis] {} = \"{}\" must {} {} = \"{}\"", smaller, format_duration(a),
                      strict ? "be shorter than" : "not exceed", larger, format_duration(b)));
}

// At most one way to give a password.
void ConfigReader::check_passwords(std::string_view section, std::initializer_list<Given> ways) {
  std::string_view first;
  for (const auto& [key, is_given] : ways) {
    if (!is_given) continue;
    if (std::exchange(first, first.empty() ? key : first).empty()) continue;
    problem(
        origin(fmt::format("{}.{}", section, key)),
        fmt::format("[{0}] {1} stands beside [{0}] {2}; keep one of them", section, key, first));
  }
}

void ConfigReader::check_sentinel() {
  const RedisConfig& redis = config_.redis;
  check_passwords("redis", {{"sentinel_password", !redis.sentinel_password.empty()},
                            {"sentinel_password_file", !redis.sentinel_password_file.empty()}});
  const bool password = !redis.sentinel_password.empty() || !redis.sentinel_password_file.empty();
  if (!redis.sentinel_user.empty() && !password) {
    problem(origin("redis.sentinel_user"),
            fmt::format("[redis] sentinel_user \"{}\" has no password", redis.sentinel_user));
  }
  if (password && !config_.redis.target.by_sentinel()) {
    problem(origin(redis.sentinel_password.empty() ? "redis.sentinel_password_file"
                                                   : "redis.sentinel_password"),
            "[redis] url names no Sentinels (redis+sentinel://) to give this password to");
  }
}

void ConfigReader::check_replicas() {
  const RedisConfig& redis = config_.redis;
  const auto wrong = [&](std::string text) {
    problem(origin("redis.replicas"), fmt::format("[redis] replicas{}", text));
  };
  for (const std::string& text : redis.replicas) {
    const auto address = parse_address(text);
    if (!address || !address->unix_path.empty()) {
      wrong(fmt::format(": \"{}\" is not \"host:port\"", text));
    }
  }
  if (redis.replicas.empty()) return;
  if (config_.redis.target.cluster()) wrong(": a Cluster names them itself");
  if (!redis.replica_reads) wrong(" are asked only with replica_reads = true");
}

void ConfigReader::check_tls() {
  const TlsOptions& tls = config_.redis.tls;
  if (tls.cert_file.empty() != tls.key_file.empty()) {
    const bool key = tls.cert_file.empty();
    problem(origin(key ? "redis.tls_key_file" : "redis.tls_cert_file"),
            fmt::format("[redis] tls_{}_file needs tls_{}_file beside it", key ? "key" : "cert",
                        key ? "cert" : "key"));
  }
  const bool given = !tls.ca_file.empty() || !tls.cert_file.empty() || !tls.server_name.empty();
  if (given && !config_.redis.target.tls) {
    const auto key = !tls.ca_file.empty()     ? "redis.tls_ca_file"
                     : !tls.cert_file.empty() ? "redis.tls_cert_file"
                                              : "redis.tls_server_name";
    problem(origin(key), "[redis] url is not rediss://: this connection would not be encrypted");
  }
}

void ConfigReader::check_iam() {
  const IamUser& iam = config_.redis.iam;
  if (iam.cache.empty()) {
    if (iam.serverless) problem(origin("redis.iam_serverless"), "[redis] iam_cache is empty");
    return;
  }
  const auto wrong = [&](std::string_view text) {
    problem(origin("redis.iam_cache"), fmt::format("[redis] iam_cache {}", text));
  };
  if (config_.redis.target.user.empty()) wrong("needs redis.user, the id of the ElastiCache user");
  if (iam.region.empty()) wrong("needs iam_region, or AWS_REGION in the environment");
  if (!config_.redis.target.tls) wrong("needs TLS: a url with rediss://");
  const bool upper = std::ranges::any_of(iam.cache, [](char c) { return c >= 'A' && c <= 'Z'; });
  if (upper)
    wrong(fmt::format("= \"{}\" is not in lower case, as ElastiCache names it", iam.cache));
}

void ConfigReader::check_listen() {
  const ListenConfig& listen = config_.listen;
  if (listen.resp.empty() && listen.tls.empty()) {
    problem(origin("listen.resp"), "[listen] resp and tls are empty; give at least one address");
  }
  for (const std::string& text : listen.resp) {
    if (const auto address = parse_address(text)) {
      config_.resp_addresses.push_back(*address);
    } else {
      problem(origin("listen.resp"),
              fmt::format("[listen] resp: \"{}\" is not \"host:port\" or \"unix:/path\"", text));
    }
  }
  for (const std::string& text : listen.tls) {
    const auto address = parse_address(text);
    if (address && address->unix_path.empty()) {
      config_.resp_addresses.push_back(*address);
    } else {
      problem(origin("listen.tls"), fmt::format("[listen] tls: \"{}\" is not \"host:port\"", text));
    }
  }
  const TlsOptions& files = listen.tls_files;
  if (!listen.tls.empty() && (files.cert_file.empty() || files.key_file.empty())) {
    problem(origin("listen.tls"), "[listen] tls needs tls_cert_file and tls_key_file");
  }
  const auto unused = !files.cert_file.empty()  ? "tls_cert_file"
                      : !files.key_file.empty() ? "tls_key_file"
                      : !files.ca_file.empty()  ? "tls_ca_file"
                                                : nullptr;
  if (listen.tls.empty() && unused != nullptr) {
    problem(origin(fmt::format("listen.{}", unused)),
            fmt::format("[listen] tls is empty: nothing uses {}", unused));
  }
  if (listen.http != "off") {
    config_.http_address = parse_address(listen.http);
    if (!config_.http_address) {
      problem(origin("listen.http"),
              fmt::format("[listen] http = \"{}\" is not \"host:port\", \"unix:/path\" or \"off\"",
                          listen.http));
    }
  }
  check_passwords("listen", {{"password", !listen.password.empty()},
                             {"password_file", !listen.password_file.empty()}});
}

void ConfigReader::check_redis() {
  const RedisConfig& redis = config_.redis;
  auto target = parse_redis_url(redis.url);
  if (!target) {
    problem(origin("redis.url"), fmt::format("[redis] url: {}", target.error().message));
    return;
  }
  config_.redis.target = *target;
  RedisTarget& to = config_.redis.target;
  if (!redis.user.empty()) to.user = redis.user;
  if (!redis.password.empty()) to.password = redis.password;
  check_passwords("redis", {{"password", !redis.password.empty()},
                            {"password_file", !redis.password_file.empty()},
                            {"password_command", !redis.password_command.empty()},
                            {"iam_cache", !redis.iam.cache.empty()}});
  check_iam();
  check_program("redis", "password_command", redis.password_command);
  if (!to.user.empty() && to.password.empty() && redis.password_file.empty() &&
      redis.password_command.empty() && redis.iam.cache.empty()) {
    problem(origin(redis.user.empty() ? "redis.url" : "redis.user"),
            fmt::format("[redis] user \"{}\" has no password", to.user));
  }
  check_sentinel();
  check_tls();
  check_replicas();
  const bool same_port = std::ranges::any_of(config_.resp_addresses, [&](const Endpoint& own) {
    return own.text() == to.endpoint.text() && own.port != 0;
  });
  if (same_port) {
    problem(origin("redis.url"),
            fmt::format("[redis] url names {}, where stayd itself listens", to.endpoint.text()));
  }
  check_order("command_deadline", redis.command_deadline, "command_deadline_max",
              redis.command_deadline_max, false);
  check_order("command_deadline_max", redis.command_deadline_max, "slow_deadline",
              redis.slow_deadline, false);
  check_order("heartbeat_deadline", redis.heartbeat_deadline, "heartbeat_interval",
              redis.heartbeat_interval, true);
}

// --- several [[redis]]

void ConfigReader::add_redis(ConfigReader block, std::string where) {
  blocks_.emplace_back(std::move(block), std::move(where));
}

void ConfigReader::for_each_redis(const std::function<void(ConfigReader&)>& visit) {
  visit(*this);
  for (auto& [block, where] : blocks_) visit(block);
}

void ConfigReader::take_blocks() {
  for (auto& [block, where] : blocks_) {
    block.config_.resp_addresses = config_.resp_addresses;
    block.check_redis();
    problems_.insert(problems_.end(), block.problems_.begin(), block.problems_.end());
    for (const ConfigKey& key : config_keys()) {
      if (key.section != "redis" || stands_in_each_redis(key)) continue;
      copy_config_value(config_, block.config_, key);
    }
    config_.standby.push_back(std::move(block.config_.redis));
  }
}

void ConfigReader::check_regions() {
  constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  constexpr std::size_t kMaxName = 64;
  std::vector<std::string_view> seen;
  const auto check = [&](const RedisConfig& redis, const std::string& where) {
    const bool legal = !redis.name.empty() && redis.name.size() <= kMaxName &&
                       redis.name.find_first_not_of(kLetters) == std::string::npos;
    if (!legal) {
      problem(where, "[[redis]] needs a name of letters, digits, \".\", \"_\" and \"-\"");
    } else if (std::ranges::find(seen, redis.name) != seen.end()) {
      problem(where, fmt::format("[[redis]] name = \"{}\" is another block's", redis.name));
    }
    seen.push_back(redis.name);
    if (redis.target.cluster() != config_.redis.target.cluster()) {
      problem(where, "[[redis]] url: either all blocks are a Redis Cluster, or none is");
    }
    if (redis.target.db != config_.redis.target.db) {
      problem(where, "[[redis]] url: all blocks need the same database");
    }
  };
  if (config_.standby.empty()) return;
  check(config_.redis, origin(config_.redis.name.empty() ? "redis.url" : "redis.name"));
  for (std::size_t i = 0; i < blocks_.size(); ++i) check(config_.standby[i], blocks_[i].second);
}

void ConfigReader::check_program(std::string_view section, std::string_view key,
                                 const std::vector<std::string>& argv) {
  if (argv.empty() || argv[0].starts_with('/')) return;
  problem(origin(fmt::format("{}.{}", section, key)),
          fmt::format("[{}] {}: \"{}\" is not the whole path of a program", section, key, argv[0]));
}

void ConfigReader::check_at_rest() {
  const AtRestConfig& at_rest = config_.at_rest;
  check_passwords("at_rest", {{"encryption_key", !at_rest.encryption_key.empty()},
                              {"encryption_key_file", !at_rest.encryption_key_file.empty()},
                              {"encryption_key_command", !at_rest.encryption_key_command.empty()}});
  check_program("at_rest", "encryption_key_command", at_rest.encryption_key_command);
}

// What ADR 0016 says is not supported beside a backup yet is refused here.
void ConfigReader::check_backup() {
  BackupConfig& backup = config_.backup;
  check_passwords("backup", {{"password", !backup.password.empty()},
                             {"password_file", !backup.password_file.empty()},
                             {"password_command", !backup.password_command.empty()}});
  check_program("backup", "password_command", backup.password_command);
  const auto unused = !backup.password.empty()           ? "password"
                      : !backup.password_file.empty()    ? "password_file"
                      : !backup.password_command.empty() ? "password_command"
                                                         : nullptr;
  if (backup.url.empty()) {
    if (unused != nullptr) {
      problem(origin(fmt::format("backup.{}", unused)),
              fmt::format("[backup] url is empty: nothing uses {}", unused));
    }
    return;
  }
  auto place = backup_place(backup.url);
  if (!place) {
    problem(origin("backup.url"), fmt::format("[backup] url: {}", place.error().message));
    return;
  }
  backup.place = std::move(*place);
  if (unused != nullptr && backup.place.starts_with("dynamodb://")) {
    problem(origin(fmt::format("backup.{}", unused)),
            fmt::format("[backup] {}: a DynamoDB has no password; credentials are found as by the "
                        "AWS CLI",
                        unused));
  }
  const auto alone = [&](bool given, std::string_view key, std::string_view what) {
    if (!given) return;
    problem(origin(key), fmt::format("{} does not go with a [backup] yet", what));
  };
  alone(config_.redis.target.cluster(), "redis.url", "[redis] url = \"redis+cluster://...\"");
  alone(!blocks_.empty(), "redis.name", "more than one [[redis]]");
  alone(config_.mode == "observe", "mode", "mode = \"observe\"");
  alone(config_.strict_logout, "strict_logout", "strict_logout = true");
  alone(config_.redis.replica_reads, "redis.replica_reads", "[redis] replica_reads = true");
}

void ConfigReader::finish() {
  check_listen();
  check_at_rest();
  check_redis();
  check_backup();
  take_blocks();
  if (problems_.empty()) check_regions();
}

}  // namespace stayd
