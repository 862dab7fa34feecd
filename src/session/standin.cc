// Dispatch: a command's name is looked up once in one hash table; everything else is in the tables
// of standin_strings.cc, standin_counters.cc, standin_keys.cc, standin_hashes.cc, standin_sets.cc,
// standin_zsets.cc, standin_zset_ranges.cc and standin_scripts.cc.
#include "session/standin.h"

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/error.h"
#include "session/numbers.h"
#include "session/scripts.h"
#include "session/standin_context.h"

namespace stayd {
namespace {

using Table = boost::unordered_flat_map<std::string_view, standin::Handler>;

Table make_table() {
  Table table;
  for (const auto group :
       {standin::string_commands(), standin::counter_commands(), standin::key_commands(),
        standin::hash_commands(), standin::set_commands(), standin::zset_commands(),
        standin::zset_range_commands(), standin::script_commands()}) {
    for (const standin::Command& command : group) table.emplace(command.name, command.handler);
  }
  return table;
}

standin::Handler find_handler(std::string_view name) {
  static const Table table = make_table();
  const auto found = table.find(name);
  return found == table.end() ? nullptr : found->second;
}

}  // namespace

bool stand_in_supports(const CommandSpec& spec, const Args& args) {
  if (find_handler(spec.name) == nullptr) return false;
  if (spec.name == "eval") return args.size() > 1 && known_script_by_text(args[1]).has_value();
  if (spec.name == "evalsha") return args.size() > 1 && known_script_by_sha1(args[1]).has_value();
  // COPY ... DB n names a key of another database, which the workspace does not hold.
  if (spec.name != "copy") return true;
  for (std::size_t i = 3; i + 1 < args.size(); ++i) {
    if (equals_ignore_case(args[i], "db")) return false;
  }
  return true;
}

void execute(const StandInInput& input, Workspace& workspace, std::string& reply,
             std::vector<Mutation>& effects) {
  const standin::Handler handler = find_handler(input.spec->name);
  STAYD_ASSERT(handler != nullptr);
  standin::Context context(input, workspace, reply, effects);
  handler(context);
}

namespace standin {

void Context::elements(std::string_view key, Record& state, bool existed,
                       std::vector<ElementChange> changes) {
  const ValueType type = state.type();
  bool left = true;
  if (const auto* hash = std::get_if<HashValue>(&state.value)) left = !hash->empty();
  if (const auto* set = std::get_if<SetValue>(&state.value)) left = !set->empty();
  if (const auto* zset = std::get_if<SortedSetValue>(&state.value)) left = !zset->empty();
  if (!left) {
    state = Record{};
    if (existed) tomb(key);
    return;
  }
  if (!existed) return put(key, state);
  if (changes.empty()) return;
  Mutation& mutation = add(Mutation::Kind::elements, key);
  mutation.type = type;
  mutation.elements = std::move(changes);
}

void Context::store(std::string_view key, Record state) {
  Record& target = record(key);
  if (!state.exists()) {
    if (target.exists()) remove(key, target);
    return;
  }
  target = std::move(state);
  put(key, target);
}

bool parse_scan_cursor(Context& c) {
  std::uint64_t cursor = 0;  // only its form matters, for there is one page
  if (stayd::parse_scan_cursor(c.arg(2), cursor)) return true;
  c.error(kInvalidCursor);
  return false;
}

bool parse_scan_options(Context& c, ScanOptions& options) {
  const std::string_view error = stayd::parse_scan_options(c.args(), 3, false, options);
  if (!error.empty()) c.error(error);
  return error.empty();
}

void write_empty_scan(Context& c) {
  write_array(c.out, 2);
  write_bulk(c.out, "0");
  write_array(c.out, 0);
}

std::size_t pick(Context& c, std::string_view first, std::size_t size) {
  std::uint64_t hash = 0xcbf29ce484222325ULL ^ static_cast<std::uint64_t>(c.now());  // FNV-1a
  for (const char byte : first) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
  }
  hash ^= hash >> 32;
  return size == 0 ? 0 : static_cast<std::size_t>(hash % size);
}

bool parse_pick_count(Context& c, std::int64_t& count) {
  if (!c.integer(2, count)) return false;
  if (count != std::numeric_limits<std::int64_t>::min()) return true;
  c.error(
      "ERR value is out of range, value must between -9223372036854775807 and "
      "9223372036854775807");
  return false;
}

bool picks_allowed(Context& c, std::int64_t count) {
  // A negative count asks for that many elements, repeated; Redis streams them, we would hold them.
  constexpr std::int64_t kMaxRepeatedPicks = 1 << 16;
  if (count >= -kMaxRepeatedPicks) return true;
  c.error("ERR value is out of range");
  return false;
}

}  // namespace standin
}  // namespace stayd
