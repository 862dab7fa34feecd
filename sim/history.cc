#include "sim/history.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "resp/reply.h"

namespace stayd::sim {

namespace {

constexpr std::size_t kMaxPending = 7;    // beyond: 2^n worlds cost too much, the key is given up
constexpr std::size_t kMaxWorlds = 4096;  // likewise

// DEL inside a block whose connection is lost: the tombstone stood in the ledger before the block
// was sent, so the stand-in counts 0 where Redis would have counted 1.
constexpr const char* kAnyCount = ":any";

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string integer(std::int64_t value) {
  return ":" + std::to_string(value);
}
std::string bulk(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

void set_expiry(KeyState& state, std::int64_t from_ms, std::int64_t to_ms) {
  state.expires_from_ms = from_ms;
  state.expires_to_ms = to_ms;
}

// SET k v [EX s | PX ms] [NX | XX]
std::string spec_set(KeyState& state, const Words& c, std::int64_t from_ms, std::int64_t to_ms) {
  std::int64_t ttl = 0;
  bool nx = false;
  bool xx = false;
  for (std::size_t i = 3; i < c.size(); ++i) {
    if (c[i] == "EX")
      ttl = number(c[++i]) * 1000;
    else if (c[i] == "PX")
      ttl = number(c[++i]);
    else if (c[i] == "NX")
      nx = true;
    else if (c[i] == "XX")
      xx = true;
  }
  if ((nx && state.record.exists()) || (xx && !state.record.exists())) return "nil";
  state = KeyState{};
  state.record.value = c[2];
  if (ttl != 0) set_expiry(state, from_ms + ttl, to_ms + ttl);
  return "+OK";
}

std::string spec_hash(KeyState& state, const Words& c) {
  const std::string& name = c[0];
  if (name == "HGETALL") {
    std::string out = "{";
    if (const auto* hash = std::get_if<HashValue>(&state.record.value)) {
      for (const auto& [field, value] : *hash) out += field + "=" + value + " ";
    }
    return out + "}";
  }
  if (!state.record.exists()) state.record.value = HashValue{};
  auto& hash = std::get<HashValue>(state.record.value);
  if (name == "HINCRBY") {
    auto& value = hash[c[2]];
    value = std::to_string(number(value) + number(c[3]));
    return ":" + value;
  }
  std::int64_t fresh = 0;  // HSET
  for (std::size_t i = 2; i + 1 < c.size(); i += 2) {
    fresh += hash.insert_or_assign(c[i], c[i + 1]).second;
  }
  return integer(fresh);
}

std::string spec_string(KeyState& state, const Words& c) {
  const auto* value = std::get_if<std::string>(&state.record.value);
  if (c[0] == "GET") return value == nullptr ? "nil" : bulk(*value);
  const std::int64_t next = (value == nullptr ? 0 : number(*value)) + 1;  // INCR
  state.record.value = std::to_string(next);
  return integer(next);
}

}  // namespace

std::string apply_spec(KeyState& state, const Words& c, std::int64_t from_ms, std::int64_t to_ms) {
  const std::string& name = c[0];
  const bool exists = state.record.exists();
  if (name == "SET") return spec_set(state, c, from_ms, to_ms);
  if (name == "SETEX") return spec_set(state, {"SET", c[1], c[3], "EX", c[2]}, from_ms, to_ms);
  if (name == "GET" || name == "INCR") return spec_string(state, c);
  if (name == "EXISTS") return integer(exists);
  if (name == "DEL" || name == "UNLINK") {
    state = KeyState{};
    return integer(exists);
  }
  if (name == "GETDEL") {
    const std::string value = spec_string(state, {"GET", c[1]});
    state = KeyState{};
    return value;
  }
  if (name == "EXPIRE") {
    if (!exists) return ":0";
    const std::int64_t ttl = number(c[2]) * 1000;
    set_expiry(state, from_ms + ttl, to_ms + ttl);
    return ":1";
  }
  if (name == "EVAL") {  // compare and delete
    const auto* value = std::get_if<std::string>(&state.record.value);
    if (value == nullptr || *value != c[4]) return ":0";
    state = KeyState{};
    return ":1";
  }
  return spec_hash(state, c);
}

std::string normalise(std::string_view frame) {
  const ReplyView reply(frame);
  switch (reply.type()) {
    case ReplyType::simple:
      return "+" + std::string(reply.text());
    case ReplyType::error:
    case ReplyType::bulk_error:
      return "-" + std::string(reply.text());
    case ReplyType::integer:
    case ReplyType::boolean:
      return integer(reply.integer().value_or(0));
    case ReplyType::null:
      return "nil";
    case ReplyType::map: {
      std::map<std::string, std::string> fields;
      auto elements = reply.elements();
      ReplyView field;
      ReplyView value;
      while (elements.next(field) && elements.next(value)) {
        fields[std::string(field.text())] = value.text();
      }
      std::string out = "{";
      for (const auto& [name, text] : fields) out += name + "=" + text + " ";
      return out + "}";
    }
    case ReplyType::array: {
      std::string out;
      auto elements = reply.elements();
      ReplyView element;
      while (elements.next(element)) out += (out.empty() ? "" : " ") + normalise(element.frame());
      return out;
    }
    default:
      return bulk(reply.text());
  }
}

std::string Operation::text() const {
  std::string out;
  for (const Words& command : commands) {
    if (!out.empty()) out += "; ";
    for (const std::string& word : command) {
      out += (&word == &command.front() ? "" : " ") + word.substr(0, 60);
    }
  }
  return block ? "MULTI [" + out + "]" : out;
}

bool Operation::writes() const {
  return block ||
         (commands[0][0] != "GET" && commands[0][0] != "HGETALL" && commands[0][0] != "EXISTS");
}

// --- worlds ---------------------------------------------------------------------------------

bool KeyHistory::same(const World& a, const World& b) {
  return a.state == b.state && a.done == b.done && a.replies == b.replies;
}

void KeyHistory::add(std::vector<World>& worlds, World world) const {
  for (const World& one : worlds) {
    if (same(one, world)) return;
  }
  worlds.push_back(std::move(world));
}

void KeyHistory::start_with(KeyState state) {
  worlds_.front().state = std::move(state);
}

std::vector<KeyHistory::World> KeyHistory::closure(std::int64_t now_ms) const {
  std::vector<World> worlds = worlds_;
  for (std::size_t at = 0; at < worlds.size() && worlds.size() < kMaxWorlds; ++at) {
    const KeyState& state = worlds[at].state;
    // Time may have taken the key.
    if (state.expires_from_ms != 0 && now_ms >= state.expires_from_ms - kExpirySlackMs) {
      World gone = worlds[at];
      gone.state = KeyState{};
      add(worlds, std::move(gone));
    }
    for (const int id : pending_) {
      const World& from = worlds[at];
      if (std::binary_search(from.done.begin(), from.done.end(), id)) continue;
      const Asked& asked = asked_[static_cast<std::size_t>(id)];
      // It cannot act on a key that has certainly expired before it was asked.
      if (from.state.expires_to_ms != 0 &&
          asked.asked_ms > from.state.expires_to_ms + kExpirySlackMs) {
        continue;
      }
      World next = from;
      std::string reply;
      for (const Words& command : asked.operation.commands) {
        std::string one = apply_spec(next.state, command, asked.asked_ms, now_ms);
        if (asked.operation.block && command[0] == "DEL") one = kAnyCount;
        reply += (reply.empty() ? "" : " ") + one;
      }
      if (asked.doubtful) reply.clear();
      const auto place = std::lower_bound(next.done.begin(), next.done.end(), id);
      next.replies.insert(next.replies.begin() + (place - next.done.begin()), reply);
      next.done.insert(place, id);
      add(worlds, std::move(next));
    }
  }
  return worlds;
}

// --- what happened --------------------------------------------------------------------------

int KeyHistory::ask(Operation operation, int client, std::int64_t now_ms) {
  const int id = static_cast<int>(asked_.size());
  line(now_ms, "#" + std::to_string(id) + " client " + std::to_string(client) + " asks  " +
                   operation.text());
  asked_.push_back({std::move(operation), client, now_ms, false});
  pending_.push_back(id);
  ++open_;
  if (pending_.size() > kMaxPending) given_up_ = true;
  return id;
}

bool KeyHistory::answer(int id, std::string_view reply, std::int64_t now_ms) {
  std::string text = normalise(reply);
  const Operation& operation = asked_[static_cast<std::size_t>(id)].operation;
  if (operation.block && operation.commands[0][0] == "DEL" && text[0] == ':') {
    text.replace(0, text.find(' '), kAnyCount);
  }
  line(now_ms, "#" + std::to_string(id) + " is told  " + text.substr(0, 100));
  --open_;
  if (given_up_) return true;
  std::vector<World> kept;
  std::string allowed;
  const auto reached = closure(now_ms);
  for (const World& world : reached) {
    const auto place = std::lower_bound(world.done.begin(), world.done.end(), id);
    if (place == world.done.end() || *place != id) continue;
    const auto index = place - world.done.begin();
    if (world.replies[static_cast<std::size_t>(index)] != text) {
      const auto& other = world.replies[static_cast<std::size_t>(index)];
      if (allowed.find(other) == std::string::npos) allowed += " " + other;
      continue;
    }
    World next = world;
    next.done.erase(next.done.begin() + index);
    next.replies.erase(next.replies.begin() + index);
    add(kept, std::move(next));
  }
  std::erase(pending_, id);
  if (reached.size() >= kMaxWorlds) {
    given_up_ = true;
    return true;
  }
  if (kept.empty()) {
    why_ = "#" + std::to_string(id) + " was told " + text + ", possible were:" + allowed;
    line(now_ms, "IMPOSSIBLE: " + why_);
    return false;
  }
  worlds_ = std::move(kept);
  return true;
}

void KeyHistory::in_doubt(int id, std::string_view note, std::int64_t now_ms) {
  line(now_ms, "#" + std::to_string(id) + " in doubt: " + std::string(note));
  --open_;
  Asked& asked = asked_[static_cast<std::size_t>(id)];
  asked.doubtful = true;
  const bool writes = asked.operation.writes();
  if (!writes) std::erase(pending_, id);
  auto worlds = std::exchange(worlds_, {});
  for (World& world : worlds) {
    const auto place = std::lower_bound(world.done.begin(), world.done.end(), id);
    if (place != world.done.end() && *place == id) {
      const auto index = place - world.done.begin();
      world.replies[static_cast<std::size_t>(index)].clear();
      if (!writes) {
        world.done.erase(world.done.begin() + index);
        world.replies.erase(world.replies.begin() + index);
      }
    }
    add(worlds_, std::move(world));
  }
}

void KeyHistory::done(int id, std::int64_t now_ms) {
  line(now_ms, "#" + std::to_string(id) + " done");
  --open_;
  std::vector<World> kept;
  for (const World& world : closure(now_ms)) {
    const auto place = std::lower_bound(world.done.begin(), world.done.end(), id);
    if (place == world.done.end() || *place != id) continue;
    World next = world;
    next.replies.erase(next.replies.begin() + (place - world.done.begin()));
    next.done.erase(next.done.begin() + (place - world.done.begin()));
    add(kept, std::move(next));
  }
  std::erase(pending_, id);
  if (!kept.empty()) worlds_ = std::move(kept);
}

void KeyHistory::refused(int id, std::string_view note, std::int64_t now_ms) {
  line(now_ms, "#" + std::to_string(id) + " refused: " + std::string(note));
  --open_;
  std::erase(pending_, id);
}

void KeyHistory::note(std::string text, std::int64_t now_ms) {
  line(now_ms, std::move(text));
}

bool KeyHistory::may_be(const std::optional<Record>& record, std::int64_t now_ms,
                        std::string_view where) {
  if (given_up_) return true;
  std::string allowed;
  for (const World& world : closure(now_ms)) {
    const KeyState& state = world.state;
    if (!record || !record->exists()) {
      if (!state.record.exists()) return true;
      allowed += " present";
      continue;
    }
    if (record->value != state.record.value) {
      allowed += state.record.exists() ? " another value" : " absent";
      continue;
    }
    const bool no_expiry = state.expires_from_ms == 0;
    if (no_expiry == (record->expires_at_ms == 0) &&
        (no_expiry || (record->expires_at_ms >= state.expires_from_ms - kExpirySlackMs &&
                       record->expires_at_ms <= state.expires_to_ms + kExpirySlackMs))) {
      return true;
    }
    allowed += " expiry " + std::to_string(state.expires_from_ms);
  }
  why_ = std::string(where) + " holds " +
         (record && record->exists()
              ? "a value that expires at " + std::to_string(record->expires_at_ms)
              : std::string("nothing")) +
         ", possible were:" + allowed.substr(0, 200);
  line(now_ms, "IMPOSSIBLE: " + why_);
  return false;
}

void KeyHistory::line(std::int64_t now_ms, std::string text) {
  lines_.push_back(std::to_string(now_ms % 1'000'000'000) + "  " + std::move(text));
}

std::string KeyHistory::text() const {
  std::string out;
  for (const std::string& one : lines_) out += "  " + one + "\n";
  return out;
}

}  // namespace stayd::sim
