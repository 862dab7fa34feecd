#include "resp/reply.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "resp/frame.h"
#include "resp/numbers.h"

namespace stayd {

ReplyView::ReplyView(std::string_view frame) : frame_(frame) {
  const std::string_view reply = skip_attributes(frame);
  if (reply.empty()) return;
  const FrameHeader header = read_header(reply);
  const std::string_view body = reply.substr(header.size);
  type_ = static_cast<ReplyType>(header.type);
  switch (header.type) {
    case '*':
    case '~':
    case '>':
    case '%':
      if (header.streamed) {
        size_ = count_streamed(body);
      } else if (header.number < 0) {
        type_ = ReplyType::null;
      } else {
        size_ = static_cast<std::size_t>(header.number) * (header.type == '%' ? 2 : 1);
      }
      body_ = body;
      break;
    case '$':
    case '!':
    case '=':
      if (header.streamed) {
        view_chunks(body);
      } else if (header.number < 0) {
        type_ = ReplyType::null;
      } else {
        text_ = body.substr(0, static_cast<std::size_t>(header.number));
        if (header.type == '=') text_.remove_prefix(4);  // "txt:"
      }
      break;
    default:
      text_ = header.line;
  }
}

void ReplyView::view_chunks(std::string_view body) {
  const FrameHeader first = read_header(body);
  if (first.number == 0) return;
  const auto size = static_cast<std::size_t>(first.number);
  if (read_header(body.substr(first.size + size + 2)).number == 0) {
    text_ = body.substr(first.size, size);
    return;
  }
  type_ = ReplyType::error;
  text_ = "ERR stayd: a streamed string cannot be viewed";
}

std::optional<std::int64_t> ReplyView::integer() const {
  if (type_ == ReplyType::boolean) return text_ == "t" ? 1 : 0;
  if (type_ != ReplyType::integer) return std::nullopt;
  std::int64_t value = 0;
  const std::string_view digits = text_.substr(text_.starts_with('+') ? 1 : 0);
  if (!parse_integer(digits, value)) return std::nullopt;
  return value;
}

ReplyView::Elements::Elements(const ReplyView& view) : rest_(view.body_), left_(view.size_) {}

bool ReplyView::Elements::next(ReplyView& element) {
  if (left_ == 0) return false;
  --left_;
  const std::size_t size = frame_size(rest_);
  element = ReplyView(rest_.substr(0, size));
  rest_.remove_prefix(size);
  return true;
}

namespace {

void append_line(std::string& out, char type, std::string_view text) {
  out.push_back(type);
  out.append(text).append("\r\n", 2);
}

void append_count(std::string& out, char type, std::size_t count) {
  append_header(out, type, static_cast<std::int64_t>(count));
}

}  // namespace

void write_simple(std::string& out, std::string_view text) {
  append_line(out, '+', text);
}

void write_error(std::string& out, std::string_view text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  const std::size_t start = out.size() + 1;
  append_line(out, '-', text);
  for (std::size_t i = start; i + 2 < out.size(); ++i) {
    if (out[i] == '\r' || out[i] == '\n') out[i] = ' ';
  }
}

void write_integer(std::string& out, std::int64_t value) {
  append_header(out, ':', value);
}

void write_bulk(std::string& out, std::string_view bytes) {
  append_count(out, '$', bytes.size());
  out.append(bytes).append("\r\n", 2);
}

void write_null(std::string& out) {
  out.append("_\r\n");
}

void write_bool(std::string& out, bool value) {
  out.append(value ? "#t\r\n" : "#f\r\n");
}

void write_double(std::string& out, double value) {
  append_line(out, ',', format_double(value));
}

void write_verbatim(std::string& out, std::string_view text) {
  append_count(out, '=', text.size() + 4);
  out.append("txt:").append(text).append("\r\n", 2);
}

void write_array(std::string& out, std::size_t elements) {
  append_count(out, '*', elements);
}
void write_map(std::string& out, std::size_t pairs) {
  append_count(out, '%', pairs);
}
void write_set(std::string& out, std::size_t elements) {
  append_count(out, '~', elements);
}
void write_push(std::string& out, std::size_t elements) {
  append_count(out, '>', elements);
}

std::optional<std::int64_t> time_reply_ms(const ReplyView& reply) {
  auto elements = reply.elements();
  ReplyView element;
  std::int64_t parts[2] = {};  // seconds, microseconds
  for (auto& part : parts) {
    if (!elements.next(element)) return std::nullopt;
    const auto text = element.text();
    const auto end = text.data() + text.size();
    if (text.empty() || std::from_chars(text.data(), end, part).ptr != end) return std::nullopt;
  }
  std::int64_t whole_ms = 0;
  if (__builtin_mul_overflow(parts[0], 1000, &whole_ms)) return std::nullopt;
  if (__builtin_add_overflow(whole_ms, parts[1] / 1000, &whole_ms)) return std::nullopt;
  return whole_ms;
}

std::string format_double(double value) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char text[40];
  constexpr double kExact = 9007199254740992.0;  // 2^53
  const bool integral = std::fabs(value) <= kExact && value == std::trunc(value);
  if (integral && (value != 0 || !std::signbit(value))) {
    const auto end = std::to_chars(text, text + sizeof text, static_cast<std::int64_t>(value)).ptr;
    return std::string(text, end);
  }
  const int size = std::snprintf(text, sizeof text, "%.17g", value);
  return std::string(text, static_cast<std::size_t>(size));
}

}  // namespace stayd
