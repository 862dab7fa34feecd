#include "sim/model/key_states.h"

#include <algorithm>

namespace stayd::sim::model {

namespace {

// DEL inside a block whose connection is lost counts 0 where Redis would have counted 1
// (docs/architecture.md, known limits).
constexpr const char* kAnyCount = ":any";

std::string text_of(const KeyState& state) {
  std::string out;
  if (const auto* text = std::get_if<std::string>(&state.record.value)) out = "s" + *text;
  if (const auto* hash = std::get_if<HashValue>(&state.record.value)) {
    out = "h";
    for (const auto& [field, value] : *hash) out += field + "=" + value + ",";
  }
  if (const auto* set = std::get_if<SetValue>(&state.record.value)) {
    out = "S";
    for (const auto& member : *set) out += member + ",";
  }
  return out + "@" + std::to_string(state.expires_from_ms) + "-" +
         std::to_string(state.expires_to_ms);
}

std::string told(const Operation& operation, std::string text) {
  if (operation.block && operation.commands[0][0] == "DEL" && text[0] == ':') {
    text.replace(0, text.find(' '), kAnyCount);
  }
  return text;
}

}  // namespace

KeyStates::KeyStates(KeyState initial) {
  add(possibles_, {std::move(initial), {}});
}

void KeyStates::add(Possibles& to, Possible one) {
  std::string name = text_of(one.state);
  for (const auto& [id, reply] : one.done) name += " " + std::to_string(id) + reply;
  to.emplace(std::move(name), std::move(one));
}

KeyStates::Possibles KeyStates::closure(std::int64_t now_ms) const {
  Possibles all = possibles_;
  std::vector<Possible> open;
  for (const auto& [name, one] : all) open.push_back(one);
  while (!open.empty()) {
    const Possible from = std::move(open.back());
    open.pop_back();
    for (const auto& [id, asked] : asked_) {
      if (from.done.contains(id)) continue;
      Possible next = from;
      std::string reply;
      for (const Words& command : asked.operation.commands) {
        const std::string one = apply_spec(next.state, command, asked.asked_ms, now_ms);
        reply += (reply.empty() ? "" : " ") + one;
      }
      next.done[id] = asked.doubtful ? "" : told(asked.operation, std::move(reply));
      const std::size_t before = all.size();
      add(all, next);
      if (all.size() != before) open.push_back(std::move(next));
    }
  }
  return all;
}

// Operations in doubt that took effect in every possible state can do nothing more.
void KeyStates::forget_settled() {
  for (auto it = asked_.begin(); it != asked_.end();) {
    const int id = it->first;
    const bool settled = it->second.doubtful &&
                         std::all_of(possibles_.begin(), possibles_.end(),
                                     [id](const auto& p) { return p.second.done.contains(id); });
    if (!settled) {
      ++it;
      continue;
    }
    it = asked_.erase(it);
    Possibles rest;
    for (auto& [name, one] : possibles_) {
      one.done.erase(id);
      add(rest, std::move(one));
    }
    possibles_ = std::move(rest);
  }
}

void KeyStates::ask(int id, const Operation& operation, std::int64_t now_ms) {
  asked_[id] = {operation, now_ms, false};
}

bool KeyStates::answer(int id, std::string_view reply, std::int64_t now_ms, std::string& why) {
  const std::string text = told(asked_[id].operation, normalise(reply));
  Possibles kept;
  std::string allowed;
  for (auto& [name, one] : closure(now_ms)) {
    const auto done = one.done.find(id);
    if (done == one.done.end()) continue;
    if (done->second != text) {
      if (allowed.find(done->second) == std::string::npos) allowed += " " + done->second;
      continue;
    }
    Possible next = one;
    next.done.erase(id);
    add(kept, std::move(next));
  }
  asked_.erase(id);
  if (kept.empty()) {
    why = "told " + text + ", possible were:" + allowed;
    return false;
  }
  possibles_ = std::move(kept);
  forget_settled();
  return true;
}

void KeyStates::in_doubt(int id, std::int64_t now_ms) {
  Asked& asked = asked_[id];
  asked.doubtful = true;
  if (!asked.operation.writes()) return refused(id);
  Possibles same;
  for (auto& [name, one] : closure(now_ms)) {
    Possible next = one;
    if (next.done.contains(id)) next.done[id].clear();
    add(same, std::move(next));
  }
  possibles_ = std::move(same);
}

void KeyStates::refused(int id) {
  asked_.erase(id);
  Possibles rest;
  for (auto& [name, one] : possibles_) {
    one.done.erase(id);
    add(rest, std::move(one));
  }
  possibles_ = std::move(rest);
}

bool KeyStates::may_be(const Record& record, std::int64_t now_ms, std::string& why) const {
  std::string allowed;
  for (const auto& [name, one] : closure(now_ms)) {
    if (one.state.record.value == record.value) {
      const bool never = one.state.expires_from_ms == 0;
      if (never == (record.expires_at_ms == 0) &&
          (never || (record.expires_at_ms >= one.state.expires_from_ms - kExpirySlackMs &&
                     record.expires_at_ms <= one.state.expires_to_ms + kExpirySlackMs))) {
        return true;
      }
    }
    allowed += " " + (one.state.record.exists() ? text_of(one.state) : std::string("nothing"));
  }
  why = "possible were:" + allowed;
  return false;
}

}  // namespace stayd::sim::model
