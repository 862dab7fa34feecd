#include "daemon/config_keys.h"

#include <fmt/format.h>

#include <algorithm>

namespace stayd {

namespace {

bool split_list(std::string_view text, std::vector<std::string>& out) {
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (item.empty()) return false;
    out.emplace_back(item);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return true;
}

struct TypeText {
  std::string_view name;     // in the reference
  std::string_view message;  // in errors
};

constexpr TypeText kTypes[] = {
    {"text", "is not text in quotes"},
    {"true or false", "is not true or false"},
    {"integer", "is not a whole number"},
    {"duration", "is not a duration such as \"50ms\", \"5s\", \"15m\", \"24h\" or \"30d\""},
    {"size", "is not a size such as \"16KB\" or \"64MB\""},
    {"file mode", "is not a file mode such as \"0660\""},
    {"list of texts", "is not a list of texts such as [\"a\", \"b\"]"},
};

// Stores a value of the field's own type; false: the text is not of that type.
class Setter {
 public:
  explicit Setter(const RawValue& value) : value_(value) {}

  bool operator()(std::string* field) const {
    if (!is_text()) return false;
    *field = value_.text;
    return true;
  }
  bool operator()(bool* field) const {
    using Kind = RawValue::Kind;
    if (value_.kind != Kind::boolean && value_.kind != Kind::text) return false;
    if (value_.text != "true" && value_.text != "false") return false;
    *field = value_.text == "true";
    return true;
  }
  bool operator()(std::int64_t* field) const {
    using Kind = RawValue::Kind;
    if (value_.kind != Kind::integer && value_.kind != Kind::text) return false;
    return store(parse_integer(value_.text), field);
  }
  bool operator()(Millis* field) const {
    return is_text() && store(parse_duration(value_.text), field);
  }
  bool operator()(ByteSize* field) const {
    return is_text() && store(parse_size(value_.text), field);
  }
  bool operator()(FileMode* field) const {
    return is_text() && store(parse_file_mode(value_.text), field);
  }
  bool operator()(std::vector<std::string>* field) const {
    using Kind = RawValue::Kind;
    std::vector<std::string> items;
    if (value_.kind == Kind::list) {
      items = value_.list;
    } else if (value_.kind == Kind::string) {
      items = {value_.text};
    } else if (value_.kind != Kind::text || !split_list(value_.text, items)) {
      return false;
    }
    *field = std::move(items);
    return true;
  }

 private:
  bool is_text() const {
    return value_.kind == RawValue::Kind::text || value_.kind == RawValue::Kind::string;
  }
  template <class T>
  static bool store(const std::optional<T>& parsed, T* field) {
    if (!parsed) return false;
    *field = *parsed;
    return true;
  }

  const RawValue& value_;
};

std::string show(const std::string& v) {
  return fmt::format("\"{}\"", v);
}
std::string show(bool v) {
  return v ? "true" : "false";
}
std::string show(std::int64_t v) {
  return std::to_string(v);
}
std::string show(Millis v) {
  return fmt::format("\"{}\"", format_duration(v));
}
std::string show(ByteSize v) {
  return fmt::format("\"{}\"", format_size(v));
}
std::string show(FileMode v) {
  return fmt::format("\"{}\"", format_file_mode(v));
}
std::string show(const std::vector<std::string>& v) {
  return v.empty() ? "[]" : fmt::format("[\"{}\"]", fmt::join(v, "\", \""));
}

bool is_choice(std::string_view choices, std::string_view value) {
  while (!choices.empty()) {
    const std::size_t bar = choices.find('|');
    if (choices.substr(0, bar) == value) return true;
    if (bar == std::string_view::npos) return false;
    choices.remove_prefix(bar + 1);
  }
  return false;
}

std::string spell_choices(std::string_view choices) {
  std::string out;
  for (const char c : choices) out += c == '|' ? std::string(", ") : std::string(1, c);
  return out;
}

// Outside its bounds: what they are.
std::optional<std::string> check_bounds(const ConfigKey& key, const ConfigField& field) {
  const auto outside = [&](std::int64_t v) { return v < key.min || v > key.max; };
  if (const auto* number = std::get_if<std::int64_t*>(&field); number && outside(**number)) {
    return fmt::format("is not between {} and {}", key.min, key.max);
  }
  if (const auto* time = std::get_if<Millis*>(&field); time && outside((*time)->count())) {
    return fmt::format("is not between \"{}\" and \"{}\"", format_duration(Millis(key.min)),
                       format_duration(Millis(key.max)));
  }
  if (const auto* size = std::get_if<ByteSize*>(&field)) {
    const auto bytes = static_cast<std::int64_t>((*size)->bytes);
    if (!outside(bytes)) return std::nullopt;
    return fmt::format("is not between \"{}\" and \"{}\"",
                       format_size({static_cast<std::uint64_t>(key.min)}),
                       format_size({static_cast<std::uint64_t>(key.max)}));
  }
  if (const auto* text = std::get_if<std::string*>(&field);
      text && !key.choices.empty() && !is_choice(key.choices, **text)) {
    return fmt::format("is not one of: {}", spell_choices(key.choices));
  }
  return std::nullopt;
}

std::string written(const RawValue& value) {
  switch (value.kind) {
    case RawValue::Kind::text:
    case RawValue::Kind::string:
      return fmt::format("\"{}\"", value.text);
    case RawValue::Kind::integer:
    case RawValue::Kind::boolean:
      return value.text;
    case RawValue::Kind::list:
      return show(value.list);
    case RawValue::Kind::other:
      break;
  }
  return "the value";
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

bool is_secret(const ConfigKey& key) {
  return key.name.ends_with("password") || key.name.ends_with("_key");
}

}  // namespace

std::string ConfigKey::path() const {
  return section.empty() ? std::string(name) : fmt::format("{}.{}", section, name);
}

std::string ConfigKey::environment() const {
  return section.empty() ? fmt::format("STAYD_{}", upper(name))
                         : fmt::format("STAYD_{}_{}", upper(section), upper(name));
}

std::string ConfigKey::label() const {
  return section.empty() ? std::string(name) : fmt::format("[{}] {}", section, name);
}

const ConfigKey* find_config_key(std::string_view section, std::string_view name) {
  const auto found = std::ranges::find_if(config_keys(), [&](const ConfigKey& key) {
    return key.section == section && key.name == name;
  });
  return found == config_keys().end() ? nullptr : &*found;
}

std::vector<std::string_view> config_sections() {
  std::vector<std::string_view> sections;
  for (const ConfigKey& key : config_keys()) {
    if (!key.section.empty() && (sections.empty() || sections.back() != key.section)) {
      sections.push_back(key.section);
    }
  }
  return sections;
}

std::optional<std::string> set_config_value(Config& config, const ConfigKey& key,
                                            const RawValue& value) {
  const ConfigField field = key.field(config);
  const std::string shown = is_secret(key) ? "= (hidden)" : fmt::format("= {}", written(value));
  if (!std::visit(Setter(value), field)) {
    return fmt::format("{} {}", shown, kTypes[field.index()].message);
  }
  if (const auto problem = check_bounds(key, field)) return fmt::format("{} {}", shown, *problem);
  return std::nullopt;
}

void copy_config_value(Config& from, Config& to, const ConfigKey& key) {
  const ConfigField value = key.field(from);
  std::visit([&](auto* field) { *field = *std::get<decltype(field)>(value); }, key.field(to));
}

std::string config_key_type(const ConfigKey& key) {
  Config defaults;
  return key.choices.empty() ? std::string(kTypes[key.field(defaults).index()].name)
                             : spell_choices(key.choices);
}

std::string show_config_value(const Config& config, const ConfigKey& key) {
  Config copy = config;
  return std::visit([](const auto* field) { return show(*field); }, key.field(copy));
}

}  // namespace stayd
