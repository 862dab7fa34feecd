#include <fmt/format.h>

#include "daemon/config_keys.h"

namespace stayd {

std::string render_config_reference() {
  std::string out =
      "# Configuration reference\n\n"
      "Written by `stayd check --print-reference`. Every key stands in `stayd.toml`, can be "
      "overridden\n"
      "by its environment variable, and that by its flag (`--redis.url ...`). Lists are separated "
      "by\n"
      "commas there. Durations are written \"50ms\", \"5s\", \"15m\", \"24h\", \"30d\"; sizes "
      "\"16KB\",\n"
      "\"64MB\". Unknown keys are errors.\n";
  const Config defaults;
  std::string_view section = "-";
  for (const ConfigKey& key : config_keys()) {
    if (key.section != section) {
      section = key.section;
      out +=
          section.empty() ? "\n## Above the first section\n" : fmt::format("\n## [{}]\n", section);
      out += "\n| key | type | default | environment | meaning |\n|---|---|---|---|---|\n";
    }
    out += fmt::format("| `{}` | {} | `{}` | `{}` | {} |\n", key.name, config_key_type(key),
                       show_config_value(defaults, key), key.environment(), key.help);
  }
  out +=
      "\n## [[redis]]\n\n"
      "Several Redises, in the order in which they are preferred: written with two brackets, a "
      "block "
      "for each,\n"
      "with a `name`, a `url` and its own keys for passwords and TLS (`user`, `password...`, "
      "`iam_...`,\n"
      "`tls_...`, `sentinel_...`). The other keys of [redis] count for all and stand in the first "
      "block;\n"
      "environment and flags concern the first block. Either all are a Redis Cluster or none is.\n"
      "\n## [[users]]\n\nOne block for each user of the Redis port: `name` and `password`.\n"
      "\n## [[sessions]]\n\n"
      "Which keys are sessions; the first block that matches counts. Without any block every key "
      "is a\n"
      "session. Keys that match no block are proxied as they are and fail fast while Redis is "
      "out.\n"
      "Presets alone can also be given as `STAYD_SESSIONS_PRESET` or `--sessions.preset`, "
      "separated by\n"
      "commas; they replace the blocks of the file.\n"
      "\n| key | values | meaning |\n|---|---|---|\n";
  for (const SessionKey& key : session_keys()) {
    out += fmt::format("| `{}` | {} | {} |\n", key.name, key.values, key.help);
  }
  out += "\n### Presets\n\n| preset | keys | class | fence | unknown |\n|---|---|---|---|---|\n";
  constexpr std::string_view kClasses[] = {"session", "lock", "index"};
  constexpr std::string_view kFences[] = {"off", "30s", "forever"};
  constexpr std::string_view kUnknowns[] = {"error", "hold", "anonymous"};
  for (const std::string_view name : preset_names()) {
    const auto blocks = preset_policies(name);
    for (const SessionPolicy& block : *blocks) {
      const bool is_long = block.match.size() > 60;
      out += fmt::format("| {} | {} | {} | {} | {} |\n", name,
                         is_long ? "by length and alphabet" : fmt::format("`{}`", block.match),
                         kClasses[static_cast<int>(block.key_class)],
                         kFences[static_cast<int>(block.fence)],
                         kUnknowns[static_cast<int>(block.unknown)]);
    }
  }
  return out;
}

}  // namespace stayd
