#include "sim/history.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace stayd::sim {

namespace {

constexpr std::size_t kMaxPending = 7;    // beyond: 2^n worlds cost too much, the key is given up
constexpr std::size_t kMaxWorlds = 4096;  // likewise

// DEL inside a block whose connection is lost: the tombstone stood in the ledger before the block
// was sent, so the stand-in counts 0 where Redis would have counted 1.
constexpr const char* kAnyCount = ":any";

}  // namespace

std::string_view name_of(Wrong wrong) {
  switch (wrong) {
    case Wrong::nothing:
      return "nothing";
    case Wrong::false_logout:
      return "false_logout";
    case Wrong::resurrection:
      return "resurrection";
    case Wrong::foreign_value:
      return "foreign_value";
    case Wrong::old_value:
      return "old_value";
    case Wrong::wrong_reply:
      return "wrong_reply";
  }
  return "";
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
  return a.hash == b.hash && a.state == b.state && a.done == b.done && a.replies == b.replies;
}

std::size_t KeyHistory::hash_of(const World& world) {
  std::size_t hash = static_cast<std::size_t>(world.state.expires_from_ms);
  const auto mix = [&hash](std::string_view text) {
    hash = hash * 1'099'511'628'211ULL + std::hash<std::string_view>{}(text);
  };
  hash = hash * 3 + static_cast<std::size_t>(world.state.grave);
  for (const int id : world.done) hash = hash * 31 + static_cast<std::size_t>(id);
  for (const std::string& reply : world.replies) mix(reply);
  if (const auto* text = std::get_if<std::string>(&world.state.record.value)) mix(*text);
  if (const auto* fields = std::get_if<HashValue>(&world.state.record.value)) {
    for (const auto& [name, value] : *fields) mix(value);
  }
  return hash;
}

void KeyHistory::add(std::vector<World>& worlds, World world) const {
  world.hash = hash_of(world);
  for (const World& one : worlds) {
    if (same(one, world)) return;
  }
  worlds.push_back(std::move(world));
}

void KeyHistory::start_with(KeyState state) {
  if (const auto* text = std::get_if<std::string>(&state.record.value)) at_first_ = *text;
  worlds_.front().state = std::move(state);
}

std::vector<KeyHistory::World> KeyHistory::closure(std::int64_t now_ms) const {
  std::vector<World> worlds = worlds_;
  for (std::size_t at = 0; at < worlds.size() && worlds.size() < kMaxWorlds; ++at) {
    // Whether there is a tombstone is not known: both.
    if (worlds[at].state.grave == KeyState::Grave::maybe) {
      worlds[at].state.grave = KeyState::Grave::none;
      worlds[at].hash = hash_of(worlds[at]);
      World buried = worlds[at];
      buried.state.grave = KeyState::Grave::sure;
      add(worlds, std::move(buried));
    }
    const KeyState& state = worlds[at].state;
    // Time may have taken the key.
    if (state.expires_from_ms != 0 && now_ms >= state.expires_from_ms - slack_ms_) {
      World gone = worlds[at];
      gone.state = without_value(state);
      add(worlds, std::move(gone));
    }
    for (const int id : pending_) {
      const World& from = worlds[at];
      if (std::binary_search(from.done.begin(), from.done.end(), id)) continue;
      const Asked& asked = asked_[static_cast<std::size_t>(id)];
      // It cannot act on a key that has certainly expired before it was asked.
      if (from.state.expires_to_ms != 0 && asked.asked_ms > from.state.expires_to_ms + slack_ms_) {
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
  steps_.push_back(step_of(operation.commands, ""));
  steps_.back().asked_ms = now_ms;
  asked_.push_back({std::move(operation), client, now_ms, false});
  pending_.push_back(id);
  ++open_;
  if (loose_ || lags()) pending_.clear();
  if (pending_.size() > kMaxPending) given_up_ = true;
  return id;
}

bool KeyHistory::answer(int id, std::string_view reply, std::int64_t now_ms) {
  return answer_text(id, normalise(reply), now_ms);
}

bool KeyHistory::answer_text(int id, std::string text, std::int64_t now_ms) {
  const Operation& operation = asked_[static_cast<std::size_t>(id)].operation;
  if (operation.block && operation.commands[0][0] == "DEL" && text[0] == ':') {
    text.replace(0, text.find(' '), kAnyCount);
  }
  line(now_ms, "#" + std::to_string(id) + " is told  " + text.substr(0, 100));
  --open_;
  Step& step = steps_[static_cast<std::size_t>(id)];
  const std::int64_t asked_ms = step.asked_ms;
  step = step_of(operation.commands, text);
  step.asked_ms = asked_ms;
  step.answered_ms = now_ms;
  if (given_up_) return true;
  if (loose_) return answer_loosely(id, text, now_ms);
  if (lags()) return answer_lagging(id, text, now_ms);
  std::vector<World> kept;
  std::vector<std::string> possible;
  const auto reached = closure(now_ms);
  for (const World& world : reached) {
    const auto place = std::lower_bound(world.done.begin(), world.done.end(), id);
    if (place == world.done.end() || *place != id) continue;
    const auto index = place - world.done.begin();
    if (world.replies[static_cast<std::size_t>(index)] != text) {
      const auto& other = world.replies[static_cast<std::size_t>(index)];
      if (std::find(possible.begin(), possible.end(), other) == possible.end()) {
        possible.push_back(other);
      }
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
    wrong_ = judge(text, possible);
    why_ = "#" + std::to_string(id) + " was told " + text + ", possible were:";
    for (const std::string& one : possible) why_ += " " + one;
    line(now_ms, "IMPOSSIBLE: " + why_);
    return false;
  }
  worlds_ = std::move(kept);
  return true;
}

void KeyHistory::loosen(std::string_view why, std::int64_t now_ms) {
  line(now_ms, "-- not followed any more: " + std::string(why));
  loose_ = true;
  pending_.clear();
  worlds_ = {World{}};
}

bool KeyHistory::may_be_fenced() const {
  return std::any_of(worlds_.begin(), worlds_.end(),
                     [](const World& world) { return world.state.grave != KeyState::Grave::none; });
}

bool KeyHistory::answer_loosely(int id, const std::string& text, std::int64_t now_ms) {
  const bool value = text[0] == '"' || (text[0] == '{' && text != "{}");
  if (!value || was_written(text)) return true;
  wrong_ = Wrong::foreign_value;
  why_ = "#" + std::to_string(id) + " was told " + text + ", which nobody wrote";
  line(now_ms, "IMPOSSIBLE: " + why_);
  return false;
}

bool KeyHistory::impossible(Wrong wrong, std::string why, std::int64_t now_ms) {
  wrong_ = wrong;
  why_ = std::move(why);
  line(now_ms, "IMPOSSIBLE: " + why_);
  return false;
}

Wrong KeyHistory::judge(const std::string& told, const std::vector<std::string>& possible) const {
  const auto absent = [](const std::string& text) {
    return text == "nil" || text == "{}" || text == ":0";
  };
  const bool value = told[0] == '"' || told[0] == '{';
  if (value && !absent(told) && !was_written(told)) return Wrong::foreign_value;
  const auto absents = std::count_if(possible.begin(), possible.end(), absent);
  if (absent(told) && absents == 0) return Wrong::false_logout;
  if (!absent(told) && absents == std::ssize(possible)) return Wrong::resurrection;
  return value ? Wrong::old_value : Wrong::wrong_reply;
}

// Whether every value in this reply stood in some command on the key.
bool KeyHistory::was_written(const std::string& told) const {
  const auto asked_with = [this](std::string_view value) {
    if (value == at_first_) return true;
    for (const Asked& asked : asked_) {
      for (const Words& words : asked.operation.commands) {
        const bool sums = words[0] == "INCR" || words[0] == "HINCRBY";  // nobody wrote the sum
        if (sums || (words[0] == "EVAL" && words[1].find("append") != std::string::npos)) {
          return true;
        }
        if (std::find(words.begin() + 1, words.end(), value) != words.end()) return true;
      }
    }
    return false;
  };
  const std::string_view inner(told.data() + 1, told.size() - 2);
  if (told[0] == '"') return asked_with(inner);
  for (std::size_t from = 0; from < inner.size();) {  // "field=value field=value "
    const auto equal = inner.find('=', from);
    const auto end = inner.find(' ', from);
    if (equal >= end || !asked_with(inner.substr(equal + 1, end - equal - 1))) return false;
    from = end + 1;
  }
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
  steps_[static_cast<std::size_t>(id)].answered_ms = now_ms;
  if (lags()) return;
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

bool KeyHistory::refused(int id, std::string_view note, std::int64_t now_ms) {
  line(now_ms, "#" + std::to_string(id) + " refused: " + std::string(note));
  --open_;
  steps_[static_cast<std::size_t>(id)].does = Step::Does::nothing;
  if (lags()) return true;
  std::erase(pending_, id);
  const bool writes = asked_[static_cast<std::size_t>(id)].operation.writes();
  std::vector<World> kept;
  for (World& world : std::exchange(worlds_, {})) {
    const auto place = std::lower_bound(world.done.begin(), world.done.end(), id);
    if (place != world.done.end() && *place == id) {
      if (writes) continue;  // somebody was told what only this write explains
      world.replies.erase(world.replies.begin() + (place - world.done.begin()));
      world.done.erase(place);
    }
    add(kept, std::move(world));
  }
  worlds_ = std::move(kept);
  if (!worlds_.empty() || given_up_ || loose_) return true;
  wrong_ = Wrong::wrong_reply;
  why_ = "#" + std::to_string(id) + " was refused, and its effect was seen";
  line(now_ms, "IMPOSSIBLE: " + why_);
  return false;
}

void KeyHistory::note(std::string text, std::int64_t now_ms) {
  line(now_ms, std::move(text));
}

bool KeyHistory::may_be(const std::optional<Record>& record, std::int64_t now_ms,
                        std::string_view where) {
  if (given_up_ || loose_) return true;
  if (lags()) return may_be_lagging(record, now_ms, where);
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
        (no_expiry || (record->expires_at_ms >= state.expires_from_ms - slack_ms_ &&
                       record->expires_at_ms <= state.expires_to_ms + slack_ms_))) {
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
