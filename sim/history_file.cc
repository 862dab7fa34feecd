#include "sim/history_file.h"

#include <algorithm>
#include <boost/json.hpp>
#include <boost/json/src.hpp>
#include <tuple>

namespace stayd::sim {

namespace {

namespace json = boost::json;

const char* const kOutcomes[] = {"told", "done", "doubt", "refused"};

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

std::int64_t number_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

bool read_commands(const json::object& object, Operation& operation) {
  const json::value* commands = object.if_contains("commands");
  if (commands == nullptr || !commands->is_array()) return false;
  for (const json::value& command : commands->get_array()) {
    if (!command.is_array()) return false;
    Words words;
    for (const json::value& word : command.get_array()) {
      if (!word.is_string()) return false;
      words.emplace_back(word.get_string());
    }
    if (words.size() < 2) return false;
    operation.commands.push_back(std::move(words));
  }
  const json::value* block = object.if_contains("block");
  operation.block = block != nullptr && block->is_bool() && block->get_bool();
  return !operation.commands.empty();
}

// What is wrong with it; empty: nothing.
std::string read_operation(const json::object& object, RecordedOperation& one) {
  one.key = text_of(object, "key");
  one.client = static_cast<int>(number_of(object, "client"));
  one.ask_us = number_of(object, "ask_us");
  one.end_us = number_of(object, "end_us");
  one.outcome = text_of(object, "outcome");
  one.reply = text_of(object, one.outcome == "told" ? "reply" : "note");
  if (!read_commands(object, one.operation)) return "no commands";
  if (one.end_us < one.ask_us) return "ends before it was asked";
  const bool known =
      std::find(std::begin(kOutcomes), std::end(kOutcomes), one.outcome) != std::end(kOutcomes);
  if (!known) return "no outcome '" + one.outcome + "'";
  return one.outcome == "told" && one.reply.empty() ? "told nothing" : "";
}

// Asking or the end of one operation. Of what happens in one microsecond the questions come first:
// then they overlap, and either order is possible.
struct Event {
  std::int64_t at_us = 0;
  bool end = false;
  std::size_t operation = 0;
  auto order() const { return std::tie(at_us, end, operation); }
};

// False: impossible.
bool finish(KeyHistory& history, int id, const RecordedOperation& one, std::int64_t now_ms) {
  if (one.outcome == "told") return history.answer_text(id, one.reply, now_ms);
  if (one.outcome == "refused") return history.refused(id, one.reply, now_ms);
  if (one.outcome == "doubt")
    history.in_doubt(id, one.reply, now_ms);
  else
    history.done(id, now_ms);
  return true;
}

struct CheckedKey {
  KeyHistory history;
  bool over = false;  // impossible: what follows proves nothing
};

}  // namespace

std::optional<std::vector<RecordedOperation>> read_history(std::istream& in, std::string& error) {
  std::vector<RecordedOperation> operations;
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    json::error_code broken;
    const json::value value = json::parse(line, broken);
    std::string problem = broken || !value.is_object() ? "no JSON object" : "";
    if (problem.empty() && value.get_object().contains("key")) {
      problem = read_operation(value.get_object(), operations.emplace_back());
    }
    if (!problem.empty()) {
      error = "line " + std::to_string(number) + ": " + problem;
      return std::nullopt;
    }
  }
  return operations;
}

FileVerdict check_history(const std::vector<RecordedOperation>& operations) {
  std::vector<Event> events;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    events.push_back({operations[i].ask_us, false, i});
    events.push_back({operations[i].end_us, true, i});
  }
  std::sort(events.begin(), events.end(),
            [](const Event& a, const Event& b) { return a.order() < b.order(); });
  FileVerdict verdict;
  std::map<std::string_view, CheckedKey> keys;
  std::vector<int> ids(operations.size());
  for (const Event& event : events) {
    const RecordedOperation& one = operations[event.operation];
    CheckedKey& key = keys[one.key];
    if (key.over) continue;
    const std::int64_t now_ms = event.at_us / 1000;
    if (!event.end) {
      ids[event.operation] = key.history.ask(one.operation, one.client, now_ms);
      continue;
    }
    if (one.outcome == "doubt") ++verdict.in_doubt;
    if (finish(key.history, ids[event.operation], one, now_ms)) continue;
    key.over = true;
    const KeyHistory& history = key.history;
    verdict.violations.push_back(
        {one.key, event.at_us, history.wrong(), history.why(), history.text()});
  }
  verdict.operations = operations.size();
  verdict.keys = keys.size();
  for (const auto& [name, key] : keys) verdict.given_up += key.history.given_up();
  return verdict;
}

}  // namespace stayd::sim
