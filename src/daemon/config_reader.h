// Collects settings from their sources and every mistake in them; what parse_config and load_config
// share. One reader for one load; not shared between threads.
#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/config.h"
#include "daemon/config_keys.h"

namespace stayd {

class ConfigReader {
 public:
  // A value for a key, from `origin` ("stayd.toml:12", "STAYD_REDIS_URL", "--redis.url").
  void set(const ConfigKey& key, const RawValue& value, std::string origin);
  // Presets instead of the file's blocks, separated by commas.
  void set_presets(std::string_view names, std::string origin);
  void add_sessions(std::vector<SessionPolicy> blocks);
  void add_user(UserConfig user) { config_.users.push_back(std::move(user)); }
  // A further [[redis]] block, read into a reader of its own.
  void add_redis(ConfigReader block, std::string where);
  // "origin: text", a full sentence.
  void problem(std::string_view origin, std::string_view text);

  // Checks what depends on several keys and works out addresses. Once, at the end.
  void finish();

  Config& config() { return config_; }
  // Of every [[redis]] block; before finish().
  void for_each_redis(const std::function<void(ConfigReader& reader)>& visit);
  // The problems, one a line; empty: none.
  std::string problems() const;
  // Where a key was set last; "default" if nowhere.
  std::string origin(std::string_view path) const;

 private:
  void check_order(std::string_view smaller, Millis a, std::string_view larger, Millis b,
                   bool strict);
  void check_listen();
  void check_redis();
  struct Given {
    std::string_view key;
    bool is_given;
  };
  void check_passwords(std::string_view section, std::initializer_list<Given> ways);
  void check_program(std::string_view section, std::string_view key,
                     const std::vector<std::string>& argv);
  void check_sentinel();
  void check_replicas();
  void check_tls();
  void check_at_rest();
  void check_backup();
  void check_iam();
  void check_regions();
  void take_blocks();

  Config config_;
  std::map<std::string, std::string, std::less<>> origins_;
  std::vector<std::string> problems_;
  std::vector<std::pair<ConfigReader, std::string>> blocks_;  // of further Redises, and where
};

// config_toml.cc: reads the text of a file into the reader.
void read_toml(std::string_view text, std::string_view name, ConfigReader& reader);

}  // namespace stayd
