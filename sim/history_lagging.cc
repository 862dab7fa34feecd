// KeyHistory, of a key that is followed with a lag (lagging.h).
#include <utility>

#include "sim/history.h"

namespace stayd::sim {

void KeyHistory::follow_with_lag(std::int64_t lag_ms, std::string_view why, std::int64_t now_ms) {
  if (loose_ || lags()) return;
  line(now_ms, "-- followed with a lag: " + std::string(why));
  lag_ms_ = lag_ms;
  pending_.clear();
  worlds_ = {World{}};
}

void KeyHistory::unsure_since(std::int64_t since_ms) {
  for (Step& step : steps_) {
    const bool done = step.answered_ms != kNotAnswered && step.answered_ms >= since_ms;
    if (done && step.does != Step::Does::removes) step.answered_ms = kNotAnswered;
  }
}

bool KeyHistory::answer_lagging(int id, const std::string& text, std::int64_t now_ms) {
  if (!answer_loosely(id, text, now_ms)) return false;
  const Asked& asked = asked_[static_cast<std::size_t>(id)];
  const std::string& name = asked.operation.commands[0][0];
  const bool value = name == "GET" || name == "HGETALL";
  if (asked.operation.block || (!value && name != "EXISTS" && name != "EXPIRE")) return true;
  const Lagging lagging{steps_, lag_ms_, slack_ms_};
  const std::string told = "#" + std::to_string(id) + " was told " + text + ", and ";
  if (text == "nil" || text == "{}" || text == ":0") {
    const std::string why = lagging.may_be_absent(asked.asked_ms, now_ms);
    return why.empty() || impossible(Wrong::false_logout, told + why, now_ms);
  }
  const std::string why = lagging.may_be_present(asked.asked_ms, now_ms);
  if (!why.empty()) return impossible(Wrong::resurrection, told + why, now_ms);
  const std::string old = value ? lagging.may_hold(text, asked.asked_ms) : "";
  return old.empty() || impossible(Wrong::old_value, told + old, now_ms);
}

bool KeyHistory::may_be_lagging(const std::optional<Record>& record, std::int64_t now_ms,
                                std::string_view where) {
  const Lagging lagging{steps_, lag_ms_, slack_ms_};
  const bool present = record && record->exists();
  const std::string why =
      present ? lagging.may_be_present(now_ms, now_ms) : lagging.may_be_absent(now_ms, now_ms);
  if (why.empty()) return true;
  const std::string what = present ? " holds a value that " : " holds nothing of what ";
  return impossible(present ? Wrong::resurrection : Wrong::false_logout,
                    std::string(where) + what + why, now_ms);
}

}  // namespace stayd::sim
