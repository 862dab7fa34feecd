#include "daemon/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <utility>

namespace stayd {

namespace {

constexpr std::array<std::string_view, 4> kSeverities = {"debug", "info", "warning", "error"};
constexpr std::int64_t kWindowMs = 1'000;

// Length of the well-formed UTF-8 sequence at the start of `text`; 0: not one (RFC 3629).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xc0) == 0x80; };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if (!continues(1) || !continues(2)) return 0;
    const bool overlong = first == 0xe0 && byte(1) < 0xa0;
    const bool surrogate = first == 0xed && byte(1) >= 0xa0;
    return overlong || surrogate ? 0 : 3;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    const bool overlong = first == 0xf0 && byte(1) < 0x90;
    const bool beyond = first == 0xf4 && byte(1) >= 0x90;
    return overlong || beyond ? 0 : 4;
  }
  return 0;
}

std::tm utc(std::int64_t wall_ms) {
  const std::time_t seconds = static_cast<std::time_t>(wall_ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return parts;
}

// A line of text must stay one line, and must not move the terminal's cursor.
std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : text)
    out.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c);
  return out;
}

}  // namespace

std::string format_timestamp(std::int64_t wall_ms) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", utc(wall_ms), wall_ms % 1000);
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      out += "\\ufffd";
      text.remove_prefix(1);
      continue;
    }
    const char c = text[0];
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (length == 1 && static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  out.push_back('"');
  return out;
}

std::string format_event(LogFormat format, const Event& event, std::int64_t wall_ms) {
  const std::string_view severity = severity_name(event.severity);
  std::string out;
  if (format == LogFormat::json) {
    out = fmt::format("{{\"ts\":\"{}\",\"level\":\"{}\",\"event\":{},\"message\":{}",
                      format_timestamp(wall_ms), severity, json_quoted(event.name),
                      json_quoted(event.text));
    if (!event.fields.empty()) {
      out += ",\"fields\":{";
      for (std::size_t i = 0; i < event.fields.size(); ++i) {
        const auto& [name, value] = event.fields[i];
        out += fmt::format("{}{}:{}", i == 0 ? "" : ",", json_quoted(name), json_quoted(value));
      }
      out += '}';
    }
    return out + '}';
  }
  out = fmt::format("{:%H:%M:%S}.{:03} {:<7} {}: {}", utc(wall_ms), wall_ms % 1000, severity,
                    event.name, one_line(event.text));
  if (!event.fields.empty()) {
    out += " (";
    for (std::size_t i = 0; i < event.fields.size(); ++i) {
      const auto& [name, value] = event.fields[i];
      out += fmt::format("{}{}={}", i == 0 ? "" : " ", name, one_line(value));
    }
    out += ')';
  }
  return out;
}

std::optional<Severity> parse_severity(std::string_view name) {
  for (std::size_t i = 0; i < kSeverities.size(); ++i) {
    if (kSeverities[i] == name) return static_cast<Severity>(i);
  }
  return std::nullopt;
}

std::string_view severity_name(Severity severity) {
  return kSeverities[static_cast<std::size_t>(severity)];
}

LogFormat choose_log_format(std::string_view name) {
  if (name == "json") return LogFormat::json;
  if (name == "text") return LogFormat::text;
  return isatty(STDERR_FILENO) == 1 ? LogFormat::text : LogFormat::json;
}

Logger::Logger(LogFormat format, Severity level, LogSink& sink,
               std::function<std::int64_t()> wall_ms)
    : format_(format), level_(level), sink_(sink), wall_ms_(std::move(wall_ms)) {}

void Logger::log(Severity severity, std::string_view name, std::string text) {
  on_event({.severity = severity, .name = name, .text = std::move(text), .fields = {}});
}

void Logger::write(const Event& event, std::int64_t now) {
  sink_.write(event.severity, format_event(format_, event, now));
}

void Logger::tell_suppressed(const std::string& name, Window& window, std::int64_t now) {
  if (window.suppressed == 0) return;
  const std::string count = std::to_string(window.suppressed);
  write({.severity = Severity::warning,
         .name = "log_suppressed",
         .text = fmt::format("suppressed {} lines of {} within a second", count, name),
         .fields = {{"suppressed", count}, {"suppressed_event", name}}},
        now);
  window.suppressed = 0;
}

void Logger::on_event(const Event& event) {
  if (event.severity < level_) return;
  const std::int64_t now = wall_ms_();
  auto found = windows_.find(event.name);
  if (found == windows_.end()) {
    if (windows_.size() >= kMaxNames) windows_.clear();
    found = windows_.emplace(std::string(event.name), Window{.started_ms = now}).first;
  }
  Window& window = found->second;
  // A clock that was set back starts a new window too.
  if (now - window.started_ms >= kWindowMs || now < window.started_ms) {
    tell_suppressed(found->first, window, now);
    window = Window{.started_ms = now};
  }
  if (window.written >= kMaxPerSecond) {
    ++window.suppressed;
    return;
  }
  ++window.written;
  write(event, now);
}

void Logger::tick() {
  const std::int64_t now = wall_ms_();
  for (auto& [name, window] : windows_) {
    if (now - window.started_ms >= kWindowMs) tell_suppressed(name, window, now);
  }
}

}  // namespace stayd
