// stayd.toml into a ConfigReader. The only file that knows toml++; it is parsed without exceptions.
#define TOML_EXCEPTIONS 0
// toml++ 3.3 asserts that a key follows "[", or with NDEBUG assumes it; a line "[" is a typing
// mistake. Without either its parser reports it as one. fuzz/config_fuzz.cc looks for what that may
// uncover.
#undef NDEBUG
#define TOML_ASSERT(expr) static_cast<void>(0)
#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>

#include "daemon/config_reader.h"

namespace stayd {

namespace {

class TomlReader {
 public:
  TomlReader(std::string_view name, ConfigReader& reader) : name_(name), reader_(reader) {}

  void read(const toml::table& root) {
    for (const auto& [key, node] : root) {
      if (const auto* block = node.as_table()) {
        read_section(key, *block);
      } else if (key.str() == "sessions" || key.str() == "users") {
        read_blocks(key, node);
      } else {
        read_key("", key, node);
      }
    }
  }

 private:
  std::string at(const toml::key& key) const {
    return fmt::format("{}:{}", name_, key.source().begin.line);
  }

  static std::string did_you_mean(std::string_view known, std::string_view format_known) {
    return known.empty() ? std::string() : fmt::format("; did you mean {}?", format_known);
  }

  void read_section(const toml::key& key, const toml::table& block) {
    const auto sections = config_sections();
    if (key.str() == "sessions" || key.str() == "users") {
      reader_.problem(at(key),
                      fmt::format("[{0}] is written with two brackets: [[{0}]]", key.str()));
      return;
    }
    if (std::ranges::find(sections, key.str()) == sections.end()) {
      auto known = sections;
      known.insert(known.end(), {"sessions", "users"});
      const auto near = nearest_name(key.str(), known);
      reader_.problem(at(key), fmt::format("[{}] is not a section{}", key.str(),
                                           did_you_mean(near, fmt::format("[{}]", near))));
      return;
    }
    for (const auto& [name, node] : block) read_key(key.str(), name, node);
  }

  void read_key(std::string_view section, const toml::key& key, const toml::node& node) {
    if (const ConfigKey* known = find_config_key(section, key.str())) {
      reader_.set(*known, raw(node), at(key));
      return;
    }
    reader_.problem(at(key), unknown_key(section, key.str()));
  }

  static std::string unknown_key(std::string_view section, std::string_view name) {
    const std::string label =
        section.empty() ? std::string(name) : fmt::format("[{}] {}", section, name);
    std::vector<std::string_view> own;
    for (const ConfigKey& key : config_keys()) {
      if (key.name == name) {
        return fmt::format("{} is not a key; {} is a key {}", label, name,
                           key.section.empty() ? "above the first [section]"
                                               : fmt::format("of [{}]", key.section));
      }
      if (key.section == section) own.push_back(key.name);
    }
    const auto near = nearest_name(name, own);
    return fmt::format("{} is not a key{}", label, did_you_mean(near, near));
  }

  static RawValue raw(const toml::node& node) {
    using Kind = RawValue::Kind;
    RawValue out;
    out.kind = Kind::other;
    if (const auto* text = node.as_string()) {
      out.kind = Kind::string;
      out.text = text->get();
    } else if (const auto* number = node.as_integer()) {
      out.kind = Kind::integer;
      out.text = std::to_string(number->get());
    } else if (const auto* flag = node.as_boolean()) {
      out.kind = Kind::boolean;
      out.text = flag->get() ? "true" : "false";
    } else if (const auto* list = node.as_array()) {
      for (const auto& item : *list) {
        const auto* element = item.as_string();
        if (element == nullptr) return out;
        out.list.push_back(element->get());
      }
      out.kind = Kind::list;
    }
    return out;
  }

  // [[sessions]] and [[users]].
  void read_blocks(const toml::key& key, const toml::node& node) {
    const auto* blocks = node.as_array();
    if (blocks == nullptr || !blocks->is_array_of_tables()) {
      if (blocks != nullptr && blocks->empty()) return;
      reader_.problem(at(key), fmt::format("{0} is a list of blocks: write [[{0}]]", key.str()));
      return;
    }
    for (const auto& block : *blocks) {
      const std::string where = fmt::format("{}:{}", name_, block.source().begin.line);
      if (key.str() == "users") {
        read_user(*block.as_table(), where);
      } else {
        read_sessions(*block.as_table(), where);
      }
    }
  }

  // The block's value of `name`, or nullptr; a value that is not text is a problem.
  const std::string* text_of(const toml::table& block, std::string_view section,
                             std::string_view name) {
    const auto* node = block.get(name);
    if (node == nullptr) return nullptr;
    if (const auto* text = node->as_string()) return &text->get();
    reader_.problem(fmt::format("{}:{}", name_, node->source().begin.line),
                    fmt::format("[[{}]] {} is not text in quotes", section, name));
    return nullptr;
  }

  bool check_names(const toml::table& block, std::string_view section,
                   const std::vector<std::string_view>& known) {
    bool good = true;
    for (const auto& [key, node] : block) {
      if (std::ranges::find(known, key.str()) != known.end()) continue;
      const auto near = nearest_name(key.str(), known);
      reader_.problem(at(key), fmt::format("[[{}]] {} is not a key{}", section, key.str(),
                                           did_you_mean(near, near)));
      good = false;
    }
    return good;
  }

  void read_user(const toml::table& block, const std::string& where) {
    if (!check_names(block, "users", {"name", "password"})) return;
    const std::string* name = text_of(block, "users", "name");
    const std::string* password = text_of(block, "users", "password");
    if (name == nullptr || password == nullptr || name->empty()) {
      reader_.problem(where, "[[users]] needs name and password");
      return;
    }
    reader_.add_user({*name, *password});
  }

  // One word of a fixed set into an enum; the words stand in the enum's order.
  template <class E>
  void read_choice(const toml::table& block, std::string_view name,
                   const std::vector<std::string_view>& words, std::optional<E>& out) {
    const std::string* text = text_of(block, "sessions", name);
    if (text == nullptr) return;
    const auto found = std::ranges::find(words, *text);
    if (found != words.end()) {
      out = static_cast<E>(found - words.begin());
      return;
    }
    reader_.problem(fmt::format("{}:{}", name_, block.get(name)->source().begin.line),
                    fmt::format("[[sessions]] {} = \"{}\" is not one of: {}", name, *text,
                                fmt::join(words, ", ")));
  }

  void read_sessions(const toml::table& block, const std::string& where) {
    std::vector<std::string_view> known;
    for (const SessionKey& key : session_keys()) known.push_back(key.name);
    check_names(block, "sessions", known);
    std::vector<SessionPolicy> rows;
    if (!start_rows(block, where, rows)) return;

    std::optional<KeyClass> key_class;
    std::optional<Fence> fence;
    std::optional<UnknownPolicy> unknown;
    enum class External { honour, heal };
    std::optional<External> external;
    read_choice(block, "class", {"session", "lock", "index"}, key_class);
    read_choice(block, "fence", {"off", "30s", "forever"}, fence);
    read_choice(block, "unknown", {"error", "hold", "anonymous"}, unknown);
    read_choice(block, "external_delete", {"honour", "heal"}, external);
    std::optional<Millis> lifetime;
    if (const std::string* text = text_of(block, "sessions", "max_lifetime")) {
      lifetime = parse_duration(*text);
      if (!lifetime) {
        reader_.problem(fmt::format("{}:{}", name_, block.get("max_lifetime")->source().begin.line),
                        fmt::format("[[sessions]] max_lifetime = \"{}\" is not a duration such as "
                                    "\"24h\" or \"30d\"",
                                    *text));
      }
    }
    for (SessionPolicy& row : rows) {
      if (key_class) row.key_class = *key_class;
      if (row.key_class != KeyClass::session) continue;
      if (fence) row.fence = *fence;
      if (unknown) row.unknown = *unknown;
      if (external) row.external_delete_heals = *external == External::heal;
      if (lifetime) row.max_lifetime_ms = lifetime->count();
    }
    reader_.add_sessions(std::move(rows));
  }

  // The rows of the preset, or one for `match`.
  bool start_rows(const toml::table& block, const std::string& where,
                  std::vector<SessionPolicy>& rows) {
    const std::string* preset = text_of(block, "sessions", "preset");
    const std::string* match = text_of(block, "sessions", "match");
    if ((preset == nullptr) == (match == nullptr)) {
      reader_.problem(where, "[[sessions]] needs either preset or match");
      return false;
    }
    if (match != nullptr) {
      if (match->empty()) reader_.problem(where, "[[sessions]] match = \"\" matches no key");
      SessionPolicy row;
      row.match = *match;
      rows.push_back(std::move(row));
      return true;
    }
    if (block.contains("class")) {
      reader_.problem(where, "[[sessions]] class goes with match; a preset knows its classes");
    }
    auto found = preset_policies(*preset);
    if (!found) {
      const auto near = nearest_name(*preset, preset_names());
      reader_.problem(fmt::format("{}:{}", name_, block.get("preset")->source().begin.line),
                      fmt::format("[[sessions]] preset = \"{}\" is not a preset{}", *preset,
                                  near.empty() ? "; stayd check --print-reference lists them"
                                               : did_you_mean(near, near)));
      return false;
    }
    rows = std::move(*found);
    return true;
  }

  std::string_view name_;
  ConfigReader& reader_;
};

// The line of the first character that TOML has nowhere, or has only between quotes and in
// comments; 0: none. toml++ 3.3 runs into undefined behaviour on such, so it never sees them.
std::size_t misplaced_character_line(std::string_view text) {
  std::size_t line = 1;
  std::string_view quote;  // what ends the present string or comment; empty: outside
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool plain = c == '\n' || c == '\r' || c == '\t';
    if ((static_cast<unsigned char>(c) < 0x20 && !plain) || c == 0x7f) return line;
    if (quote.empty()) {
      if (static_cast<unsigned char>(c) >= 0x80) return line;
      if (c == '#') quote = "\n";
      if (c == '"') quote = text.substr(i).starts_with("\"\"\"") ? "\"\"\"" : "\"";
      if (c == '\'') quote = text.substr(i).starts_with("\'\'\'") ? "\'\'\'" : "\'";
      if (c != '#' && !quote.empty()) i += quote.size() - 1;
    } else if (c == '\\' && quote[0] == '"' && i + 1 < text.size() && text[i + 1] != '\n') {
      ++i;
    } else if (text.substr(i).starts_with(quote)) {
      i += quote.size() - 1;
      quote = {};
    } else if (c == '\n' && quote.size() == 1) {
      quote = {};  // a string that was not closed
    }
    if (c == '\n') ++line;
  }
  return 0;
}

}  // namespace

void read_toml(std::string_view text, std::string_view name, ConfigReader& reader) {
  if (const std::size_t line = misplaced_character_line(text)) {
    reader.problem(fmt::format("{}:{}", name, line),
                   "this is not TOML: a control character, or one beyond ASCII outside quotes");
    return;
  }
  // What is not well-formed is found on a copy in ASCII, for the same reason.
  std::string ascii(text);
  for (char& c : ascii) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '_';
  }
  toml::parse_result parsed = toml::parse(ascii);
  if (parsed && ascii != text) parsed = toml::parse(text);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    reader.problem(fmt::format("{}:{}", name, error.source().begin.line),
                   fmt::format("this is not TOML: {}", error.description()));
    return;
  }
  TomlReader(name, reader).read(parsed.table());
}

}  // namespace stayd
