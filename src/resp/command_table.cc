#include "resp/command_table.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "resp/command_keys.h"

namespace stayd {
namespace {

constexpr KeySpec kIncomplete{"", 0, KeySpec::incomplete, 0, 0, 0};

struct Row {
  std::string_view name;
  int arity;
  std::uint32_t flags;
  std::int16_t first_key, last_key, key_step;
  bool container;
  KeySpec keys[kMaxKeySpecs];
};

constexpr Row kRows[] = {
#include "resp/command_rows.inc"
};

struct HandlingList {
  Handling handling;
  std::string_view names;
};
struct FormList {
  Resp2Form form;
  std::string_view names;
};
#include "resp/command_traits.inc"

constexpr std::size_t kLongestName = 32;
constexpr std::size_t kBuckets = 2048;
static_assert(std::size(kRows) * 4 < kBuckets, "a sparse table: nearly every look-up is one probe");

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

// The lower-case name under construction, and its hash.
struct Name {
  char text[kLongestName];
  std::size_t size = 0;
  std::uint32_t hash = 2166136261u;

  bool append(std::string_view part) {
    if (size + part.size() > kLongestName) return false;
    for (const char c : part) {
      text[size] = lower(c);
      hash = (hash ^ static_cast<unsigned char>(text[size++])) * 16777619u;
    }
    return true;
  }
  std::string_view view() const { return {text, size}; }
};

class Table {
 public:
  Table() {
    for (const Row& row : kRows) {
      CommandSpec spec;
      spec.name = row.name;
      spec.arity = row.arity;
      spec.flags = row.flags;
      spec.first_key = row.first_key;
      spec.last_key = row.last_key;
      spec.key_step = row.key_step;
      spec.container = row.container;
      spec.row = static_cast<std::uint16_t>(specs_.size());
      specs_.push_back(spec);
    }
    for (CommandSpec& spec : specs_) {
      insert(spec);
      all_.push_back(&spec);
    }
    apply_traits();
  }

  const CommandSpec* find(const Name& name) const {
    for (std::size_t i = name.hash % kBuckets;; i = (i + 1) % kBuckets) {
      if (buckets_[i] == nullptr || buckets_[i]->name == name.view()) return buckets_[i];
    }
  }
  const std::vector<const CommandSpec*>& all() const { return all_; }

 private:
  void insert(CommandSpec& spec) {
    Name name;
    name.append(spec.name);
    std::size_t at = name.hash % kBuckets;
    while (buckets_[at] != nullptr) at = (at + 1) % kBuckets;
    buckets_[at] = &spec;
  }

  // Calls `set` for each command named in `names`.
  template <class Set>
  void for_each(std::string_view names, Set set) {
    while (!names.empty()) {
      const std::string_view word = names.substr(0, names.find(' '));
      names.remove_prefix(std::min(names.size(), word.size() + 1));
      if (word.empty()) continue;
      Name name;
      const bool fits = name.append(word);
      const CommandSpec* found = fits ? find(name) : nullptr;
      if (found == nullptr) stop("is no command of Redis 7.0", word);
      set(specs_[found->row]);
    }
  }

  void apply_traits() {
    std::vector<bool> known(specs_.size(), false);
    for (const HandlingList& list : kHandling) {
      for_each(list.names, [&](CommandSpec& spec) {
        if (known[spec.row]) stop("has two handlings", spec.name);
        known[spec.row] = true;
        spec.handling = list.handling;
      });
    }
    for (const FormList& list : kForms) {
      for_each(list.names, [&](CommandSpec& spec) { spec.resp2 = list.form; });
    }
    for_each(kStandIn, [](CommandSpec& spec) { spec.stand_in = true; });
    for_each(kGuard, [](CommandSpec& spec) { spec.guard = true; });
    for_each(kKeepsKey, [](CommandSpec& spec) { spec.keeps_key = true; });

    const CommandSpec* container = nullptr;
    for (CommandSpec& spec : specs_) {  // a container's row stands right before its subcommands'
      if (spec.container) container = &spec;
      if (known[spec.row]) continue;
      if (spec.name.find('|') == std::string_view::npos) stop("has no handling", spec.name);
      spec.handling = container->handling;
    }
  }

  [[noreturn]] static void stop(const char* what, std::string_view name) {
    std::fprintf(stderr, "stayd: command table: %.*s %s\n", static_cast<int>(name.size()),
                 name.data(), what);
    std::abort();
  }

  std::vector<CommandSpec> specs_;
  std::vector<const CommandSpec*> all_;
  std::array<const CommandSpec*, kBuckets> buckets_ = {};
};

const Table& table() {
  static const Table instance;
  return instance;
}

std::string_view first_bytes(std::string_view text, std::size_t most) {
  return text.substr(0, std::min(most, text.find('\0')));  // Redis prints up to a NUL
}

}  // namespace

const KeySpec* key_specs(const CommandSpec& spec) {
  return kRows[spec.row].keys;
}

const CommandSpec* find_command(std::string_view full_name) {
  Name name;
  return name.append(full_name) ? table().find(name) : nullptr;
}

const CommandSpec* find_command(const Args& args) {
  if (args.empty()) return nullptr;
  Name name;
  if (!name.append(args[0])) return nullptr;
  const CommandSpec* spec = table().find(name);
  if (spec == nullptr || !spec->container) {
    // "client|list" in one word is no command.
    const bool pair = spec != nullptr && args[0].find('|') != std::string_view::npos;
    return pair ? nullptr : spec;
  }
  if (args.size() < 2 || !name.append("|") || !name.append(args[1])) return spec;
  const CommandSpec* subcommand = table().find(name);
  return subcommand != nullptr ? subcommand : spec;
}

const std::vector<const CommandSpec*>& all_commands() {
  return table().all();
}

bool arity_fits(const CommandSpec& spec, std::size_t args) {
  if (spec.arity > 0) return args == static_cast<std::size_t>(spec.arity);
  return args >= static_cast<std::size_t>(-spec.arity);
}

// processCommand of Redis' server.c.
std::string unknown_command_error(const Args& args) {
  std::string beginning;
  for (std::size_t i = 1; i < args.size() && beginning.size() < 128; ++i) {
    const std::size_t room = 128 - beginning.size();
    beginning.append("'").append(first_bytes(args[i], room)).append("' ");
  }
  std::string error = "ERR unknown command '";
  if (!args.empty()) error.append(first_bytes(args[0], 128));
  error.append("', with args beginning with: ").append(beginning);
  std::replace_if(error.begin(), error.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
  return error;
}

std::string unknown_subcommand_error(const Args& args) {
  std::string error = "ERR unknown subcommand '";
  if (args.size() > 1) error.append(first_bytes(args[1], 128));
  error.append("'. Try ");
  if (!args.empty()) {
    for (const char c : args[0]) {
      error.push_back(c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c);
    }
  }
  error.append(" HELP.");
  std::replace_if(error.begin(), error.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
  return error;
}

std::string wrong_arity_error(const CommandSpec& spec) {
  return "ERR wrong number of arguments for '" + std::string(spec.name) + "' command";
}

bool equals_ignore_case(std::string_view any, std::string_view lower_case) {
  return std::equal(any.begin(), any.end(), lower_case.begin(), lower_case.end(),
                    [](char a, char b) { return lower(a) == b; });
}

}  // namespace stayd
