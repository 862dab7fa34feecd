// The log: one line an event, for people on a terminal, one JSON object a line elsewhere. Lines
// leave through a queue that drops its oldest when nobody reads standard error, so that a full pipe
// never stops the loop. Loop thread only (the queue's writer has a thread of its own).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "observe/events.h"

namespace stayd {

enum class LogFormat : unsigned char { text, json };

// "2026-01-02T03:04:05.678Z", UTC.
std::string format_timestamp(std::int64_t wall_ms);
// One line without its end. Text: "03:04:05.678 warning shard_out: text (a=1 b=2)".
std::string format_event(LogFormat format, const Event& event, std::int64_t wall_ms);
// `text` between quotes as RFC 8259 wants it; bytes that are not UTF-8 become U+FFFD.
std::string json_quoted(std::string_view text);
bool is_utf8(std::string_view text);

std::optional<Severity> parse_severity(std::string_view name);  // as in [log] level
std::string_view severity_name(Severity severity);

class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void write(Severity severity, std::string_view line) = 0;
  virtual void flush() = 0;
};

// Standard error by spdlog's queue (8,192 lines). One at a time in a process.
std::unique_ptr<LogSink> make_stderr_sink();
// [log] format; "auto" looks whether standard error is a terminal.
LogFormat choose_log_format(std::string_view name);

class Logger : public EventSink {
 public:
  // Lines of one event name within a second; more are counted and told when the second is over.
  static constexpr int kMaxPerSecond = 10;
  // Event names are fixed words of the source; this only keeps a mistake from growing the map.
  static constexpr std::size_t kMaxNames = 512;

  Logger(LogFormat format, Severity level, LogSink& sink, std::function<std::int64_t()> wall_ms);

  void on_event(const Event& event) override;
  // Shorthand for the daemon's own lines.
  void info(std::string_view name, std::string text) { log(Severity::info, name, std::move(text)); }
  void warning(std::string_view name, std::string text) {
    log(Severity::warning, name, std::move(text));
  }
  void error(std::string_view name, std::string text) {
    log(Severity::error, name, std::move(text));
  }

  // Once a second: tells what was suppressed.
  void tick();
  void set_level(Severity level) { level_ = level; }
  void flush() { sink_.flush(); }

 private:
  struct Window {
    std::int64_t started_ms = 0;
    int written = 0;
    std::uint64_t suppressed = 0;
  };

  void log(Severity severity, std::string_view name, std::string text);
  void write(const Event& event, std::int64_t now);
  void tell_suppressed(const std::string& name, Window& window, std::int64_t now);

  const LogFormat format_;
  Severity level_;
  LogSink& sink_;
  std::function<std::int64_t()> wall_ms_;
  std::map<std::string, Window, std::less<>> windows_;
};

}  // namespace stayd
