// State changes worth a person's attention: one line each, with cause and consequence. The core
// emits them; `daemon/` writes them to the log and counts them. Loop thread only.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stayd {

enum class Severity : unsigned char { debug, info, warning, error };

struct Event {
  Severity severity = Severity::info;
  std::string_view name;  // stable, snake_case: "shard_out", "shard_trusted", "ledger_unwritable"
  std::string text;  // "Redis 127.0.0.1:6379 is out (connection refused): sessions are answered
                     // from the ledger"
  std::vector<std::pair<std::string_view, std::string>> fields;
};

class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void on_event(const Event& event) = 0;
};

}  // namespace stayd
