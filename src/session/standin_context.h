// What one command of the stand-in works with: its arguments, the records, the reply and the
// mutations. Internal to session/standin*.cc. One per command, on the stack.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "resp/numbers.h"
#include "resp/reply.h"
#include "session/scan_options.h"
#include "session/standin.h"

namespace stayd::standin {

inline constexpr std::string_view kWrongType =
    "WRONGTYPE Operation against a key holding the wrong kind of value";
inline constexpr std::string_view kSyntaxError = "ERR syntax error";
inline constexpr std::string_view kNotInteger = "ERR value is not an integer or out of range";
inline constexpr std::string_view kNotFloat = "ERR value is not a valid float";
inline constexpr std::string_view kIncrOverflow = "ERR increment or decrement would overflow";
inline constexpr std::string_view kNanOrInfinity = "ERR increment would produce NaN or Infinity";
// Redis' proto-max-bulk-len.
inline constexpr std::int64_t kMaxStringBytes = 512LL << 20;

class Context {
 public:
  Context(const StandInInput& input, Workspace& workspace, std::string& reply,
          std::vector<Mutation>& effects)
      : out(reply), input_(input), workspace_(workspace), effects_(effects) {}

  std::string& out;

  const Args& args() const { return *input_.args; }
  std::string_view arg(std::size_t i) const { return (*input_.args)[i]; }
  std::size_t argc() const { return input_.args->size(); }
  std::int64_t now() const { return input_.wall_ms; }
  std::string_view command() const { return input_.spec->name; }

  // The record of a key; one whose expiry has passed is emptied first.
  Record& record(std::string_view key) {
    Record& found = workspace_.record(full_key(input_.db, key));
    if (found.expired(input_.wall_ms)) found = Record{};
    return found;
  }

  // `value` becomes the record's value, nullptr when the key does not exist. False: another type;
  // WRONGTYPE is written.
  template <class T>
  bool open(Record& found, T*& value) {
    value = std::get_if<T>(&found.value);
    if (value != nullptr || !found.exists()) return true;
    error(kWrongType);
    return false;
  }

  void error(std::string_view text) { write_error(out, text); }
  void error_expiry() {
    error("ERR invalid expire time in '" + std::string(command()) + "' command");
  }
  void error_arity() {
    error("ERR wrong number of arguments for '" + std::string(command()) + "' command");
  }
  // Reads arg(i). False: Redis' error is written.
  bool integer(std::size_t i, std::int64_t& value) {
    if (parse_integer(arg(i), value)) return true;
    error(kNotInteger);
    return false;
  }

  // The mutations. Each command makes at most one per key.
  void put(std::string_view key, const Record& state) {
    add(Mutation::Kind::put, key).record = state;
  }
  void set_value(std::string_view key, std::string_view bytes) {
    add(Mutation::Kind::value, key).record.value.emplace<std::string>(bytes);
  }
  void set_expiry(std::string_view key, std::int64_t at_ms) {
    add(Mutation::Kind::expiry, key).record.expires_at_ms = at_ms;
  }
  void tomb(std::string_view key) { add(Mutation::Kind::tomb, key); }
  // Changes of elements: the whole record when the key is new (`existed` false), a tombstone when
  // nothing is left, else `changes`.
  void elements(std::string_view key, Record& state, bool existed,
                std::vector<ElementChange> changes);
  // Removes the key, with a tombstone.
  void remove(std::string_view key, Record& state) {
    state = Record{};
    tomb(key);
  }
  // Replaces the key's value and expiry by what a STORE form made; empty removes it.
  void store(std::string_view key, Record state);

 private:
  Mutation& add(Mutation::Kind kind, std::string_view key) {
    Mutation& mutation = effects_.emplace_back();
    mutation.kind = kind;
    mutation.key = full_key(input_.db, key);
    return mutation;
  }

  const StandInInput& input_;
  Workspace& workspace_;
  std::vector<Mutation>& effects_;
};

using Handler = void (*)(Context&);

struct Command {
  std::string_view name;
  Handler handler;
};

// One table per group of commands, in the file of that name.
std::span<const Command> string_commands();
std::span<const Command> counter_commands();
std::span<const Command> key_commands();
std::span<const Command> hash_commands();
std::span<const Command> set_commands();
std::span<const Command> zset_commands();
std::span<const Command> zset_range_commands();
std::span<const Command> script_commands();

// HSCAN, SSCAN, ZSCAN: everything in one page, cursor 0; `write` appends the elements that match.
// Reads cursor and options; false: an error is written.
bool parse_scan_cursor(Context& c);
bool parse_scan_options(Context& c, ScanOptions& options);
void write_empty_scan(Context& c);

// Deterministic replacement for Redis' random picks (SPOP, SRANDMEMBER, HRANDFIELD): the wall clock
// and the first element decide where in the order the pick begins.
std::size_t pick(Context& c, std::string_view first, std::size_t size);

// The count of SRANDMEMBER and HRANDFIELD: any long but LONG_MIN.
bool parse_pick_count(Context& c, std::int64_t& count);
// Refuses a reply with more repeated picks than memory should be spent on. False: error written.
bool picks_allowed(Context& c, std::int64_t count);

}  // namespace stayd::standin
