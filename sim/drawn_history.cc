#include "sim/drawn_history.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace stayd::sim {

namespace {

constexpr std::int64_t kLenientSlackMs = kExpirySlackMs + 200;

Words draw_string(Random& random, const std::string& value, const char* unit, const char* ttl) {
  const auto dice = random.below(100);
  if (dice < 45) return {"GET", "k"};
  if (dice < 75) return {"SET", "k", value, unit, ttl};
  if (dice < 80) return {"SET", "k", value, unit, ttl, dice < 78 ? "NX" : "XX"};
  if (dice < 84) return {"EXISTS", "k"};
  if (dice < 88) return {"GETDEL", "k"};
  return {"DEL", "k"};
}

Words draw_hash(Random& random, const std::string& value) {
  const auto dice = random.below(100);
  if (dice < 45) return {"HGETALL", "k"};
  if (dice < 80) return {"HSET", "k", "absexp", value, "data", value, "user", value};
  if (dice < 88) return {"EXPIRE", "k", "3600"};
  return {"DEL", "k"};
}

// `last`: the value drawn before this one, most likely the token of who holds the lock.
Words draw_lock(Random& random, const std::string& value, const std::string& last) {
  const auto dice = random.below(100);
  if (dice < 45) return {"SET", "k", value, "NX", "PX", "90000"};
  if (dice < 80) return {"EVAL", "script", "1", "k", last};
  return {"GET", "k"};
}

Operation draw_operation(Random& random, DrawnKind kind, int number) {
  const std::string value = "v" + std::to_string(number);
  switch (kind) {
    case DrawnKind::brief:
      return {.commands = {draw_string(random, value, "PX", "3000")}};
    case DrawnKind::hash: {
      Operation one{.commands = {draw_hash(random, value)}};
      if (one.commands[0][0] != "HSET" || random.chance(60)) return one;
      one.block = true;
      one.commands.push_back({"EXPIRE", "k", "3600"});
      return one;
    }
    case DrawnKind::lock:
      return {.commands = {draw_lock(random, value, "v" + std::to_string(number - 1))}};
    case DrawnKind::counter:
      return {.commands = {{random.chance(70) ? "INCR" : "GET", "k"}}};
    default:
      return {.commands = {draw_string(random, value, "EX", "3600")}};
  }
}

std::string apply(KeyState& state, const Operation& operation, std::int64_t from_ms,
                  std::int64_t to_ms) {
  std::string reply;
  for (const Words& command : operation.commands) {
    reply += (reply.empty() ? "" : " ") + apply_spec(state, command, from_ms, to_ms);
  }
  return reply;
}

// One Redis that does each operation at its moment.
void tell(DrawnHistory& history, const std::vector<std::int64_t>& effects_ms) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < effects_ms.size(); ++i) {
    if (effects_ms[i] >= 0) order.push_back(i);
  }
  std::sort(order.begin(), order.end(), [&](auto a, auto b) {
    return std::pair(effects_ms[a], a) < std::pair(effects_ms[b], b);
  });
  KeyState state;
  for (const auto i : order) {
    const auto now_ms = effects_ms[i];
    if (state.expires_from_ms != 0 && now_ms >= state.expires_from_ms) state = KeyState{};
    Drawn& one = history.operations[i];
    one.told = apply(state, one.operation, now_ms, now_ms);
    if (one.doubtful) one.told.clear();
  }
}

}  // namespace

DrawnHistory draw_history(Random& random, DrawnKind kind, int operations) {
  DrawnHistory history{.kind = kind};
  const int clients = 1 + static_cast<int>(random.below(3));
  const bool doubts = random.chance(40);
  std::vector<std::int64_t> free_ms(static_cast<std::size_t>(clients), 1'000'000);
  std::vector<std::int64_t> effects_ms;
  std::int64_t now_ms = 1'000'000;
  for (int i = 0; i < operations; ++i) {
    now_ms += static_cast<std::int64_t>(random.below(25));
    if (kind == DrawnKind::brief && random.chance(25)) now_ms += 5'000;
    Drawn one{.operation = draw_operation(random, kind, i)};
    one.client = static_cast<int>(random.below(static_cast<std::uint64_t>(clients)));
    auto& free = free_ms[static_cast<std::size_t>(one.client)];
    one.ask_ms = now_ms = std::max(now_ms, free + 1);
    auto effect_ms = one.ask_ms + static_cast<std::int64_t>(random.below(20));
    one.end_ms = effect_ms + static_cast<std::int64_t>(random.below(20));
    one.doubtful = doubts && random.chance(15);
    one.unknown = !one.doubtful && random.chance(8);
    if (one.doubtful) effect_ms += static_cast<std::int64_t>(random.below(100));
    if (one.unknown || (one.doubtful && random.chance(40))) effect_ms = -1;
    free = one.end_ms;
    effects_ms.push_back(effect_ms);
    history.operations.push_back(std::move(one));
  }
  tell(history, effects_ms);
  return history;
}

bool accepts(KeyHistory& checker, const DrawnHistory& history) {
  std::vector<std::tuple<std::int64_t, bool, std::size_t>> events;
  for (std::size_t i = 0; i < history.operations.size(); ++i) {
    events.emplace_back(history.operations[i].ask_ms, false, i);
    events.emplace_back(history.operations[i].end_ms, true, i);
  }
  std::sort(events.begin(), events.end());
  std::vector<int> ids(history.operations.size());
  for (const auto& [now_ms, end, i] : events) {
    const Drawn& one = history.operations[i];
    bool possible = true;
    if (!end)
      ids[i] = checker.ask(one.operation, one.client, now_ms);
    else if (one.doubtful)
      checker.in_doubt(ids[i], "", now_ms);
    else if (one.unknown)
      possible = checker.refused(ids[i], "UNKNOWN", now_ms);
    else
      possible = checker.answer_text(ids[i], one.told, now_ms);
    if (!possible) return false;
  }
  return true;
}

namespace {

class Orders {
 public:
  explicit Orders(const DrawnHistory& history) : all_(history.operations) {
    used_.assign(all_.size(), false);
    for (const Drawn& one : all_) last_ms_ = std::max(last_ms_, one.end_ms);
  }

  // Whether the operations that are left can follow upon `state`.
  bool explain(const KeyState& state) {
    bool answered_left = false;
    for (std::size_t i = 0; i < all_.size(); ++i) answered_left |= !used_[i] && answered(all_[i]);
    if (!answered_left) return true;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if (!used_[i] && may_be_next(i) && (goes_on(state, i, false) || goes_on(state, i, true))) {
        return true;
      }
    }
    return false;
  }

 private:
  static bool answered(const Drawn& one) { return !one.doubtful && !one.unknown; }

  bool may_be_next(std::size_t i) const {
    if (all_[i].unknown) return false;
    for (std::size_t j = 0; j < all_.size(); ++j) {
      if (!used_[j] && answered(all_[j]) && all_[j].end_ms < all_[i].ask_ms) return false;
    }
    return true;
  }

  // With operation i next; `expired`: time has taken the key before.
  bool goes_on(KeyState state, std::size_t i, bool expired) {
    const Drawn& one = all_[i];
    const auto end_ms = one.doubtful ? last_ms_ : one.end_ms;
    const bool expires = state.expires_from_ms != 0;
    if (expired && (!expires || end_ms < state.expires_from_ms - kLenientSlackMs)) return false;
    if (!expired && expires && one.ask_ms > state.expires_to_ms + kLenientSlackMs) return false;
    if (expired) state = KeyState{};
    if (apply(state, one.operation, one.ask_ms, end_ms) != one.told && !one.doubtful) return false;
    used_[i] = true;
    const bool found = explain(state);
    used_[i] = false;
    return found;
  }

  const std::vector<Drawn>& all_;
  std::vector<bool> used_;
  std::int64_t last_ms_ = 0;
};

}  // namespace

bool some_order_explains(const DrawnHistory& history) {
  return Orders(history).explain(KeyState{});
}

}  // namespace stayd::sim
