// The one table of configuration keys. Reading stayd.toml, STAYD_ variables, flags, the reference
// page and the help text all walk it. Pure; any thread.
#pragma once

#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/config.h"

namespace stayd {

using ConfigField = std::variant<std::string*, bool*, std::int64_t*, Millis*, ByteSize*, FileMode*,
                                 std::vector<std::string>*>;

struct ConfigKey {
  std::string_view section;  // "": above the first [section]
  std::string_view name;
  ConfigField (*field)(Config& config);
  std::string_view help;
  std::string_view choices = "";  // "a|b": the only values
  // Bounds of integers, milliseconds and bytes.
  std::int64_t min = 0;
  std::int64_t max = std::numeric_limits<std::int64_t>::max();

  std::string path() const;         // "redis.url", "mode"
  std::string environment() const;  // "STAYD_REDIS_URL"
  std::string label() const;        // "[redis] url", "mode": as messages name it
};

std::span<const ConfigKey> config_keys();
const ConfigKey* find_config_key(std::string_view section, std::string_view name);
std::vector<std::string_view> config_sections();
// Of [[redis]]: each block has its own. The others count for all, and stand in the first.
bool stands_in_each_redis(const ConfigKey& key);

// What was written, before it has a type.
struct RawValue {
  enum class Kind { text, string, integer, boolean, list, other };
  Kind kind = Kind::text;  // text: environment or flag, any type is read from it
  std::string text;
  std::vector<std::string> list;
};

// Sets the key. Returns what is wrong ("= \"5 apples\" is not a duration ..."), or nullopt.
std::optional<std::string> set_config_value(Config& config, const ConfigKey& key,
                                            const RawValue& value);
void copy_config_value(Config& from, Config& to, const ConfigKey& key);
std::string config_key_type(const ConfigKey& key);  // for people: "duration", "auto, text, json"
std::string show_config_value(const Config& config, const ConfigKey& key);

// The keys of [[sessions]]: read by the same messages, not by environment or flags (but for
// presets: STAYD_SESSIONS_PRESET, --sessions.preset).
struct SessionKey {
  std::string_view name;
  std::string_view values;
  std::string_view help;
};
std::span<const SessionKey> session_keys();

// docs/config.md.
std::string render_config_reference();

}  // namespace stayd
