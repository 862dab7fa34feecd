#include "resp/convert.h"

#include <algorithm>

#include "resp/frame.h"
#include "resp/numbers.h"

namespace stayd {
namespace {

constexpr std::string_view kNullBulk = "$-1\r\n";
constexpr std::string_view kNullArray = "*-1\r\n";

void append_bulk(std::string& out, std::string_view bytes) {
  append_header(out, '$', static_cast<std::int64_t>(bytes.size()));
  out.append(bytes).append("\r\n", 2);
}

// The chunks of a streamed string as one; returns the bytes it took.
std::size_t append_chunks(std::string& out, std::string_view body) {
  std::string whole;
  std::size_t pos = 0;
  while (pos < body.size()) {
    const FrameHeader chunk = read_header(body.substr(pos));
    pos += chunk.size;
    if (chunk.number <= 0) break;
    whole.append(body.substr(pos, static_cast<std::size_t>(chunk.number)));
    pos += static_cast<std::size_t>(chunk.number) + 2;
  }
  append_bulk(out, whole);
  return pos;
}

// A type with a length: bulk, verbatim or bulk error, `header` in front of `body`. Returns the
// bytes it took of `body`.
std::size_t append_bytes(std::string& out, const FrameHeader& header, std::string_view body) {
  if (header.streamed) return append_chunks(out, body);
  if (header.number < 0) {
    out.append(kNullBulk);
    return 0;
  }
  const auto size = static_cast<std::size_t>(header.number);
  std::string_view text = body.substr(0, size);
  if (header.type == '!') {
    out.push_back('-');
    const std::size_t start = out.size();
    out.append(text);
    std::replace_if(
        out.begin() + static_cast<std::ptrdiff_t>(start), out.end(),
        [](char c) { return c == '\r' || c == '\n'; }, ' ');
    out.append("\r\n", 2);
  } else {
    if (header.type == '=') text.remove_prefix(std::min<std::size_t>(4, text.size()));  // "txt:"
    append_bulk(out, text);
  }
  return std::min(size + 2, body.size());
}

void append_line(std::string& out, const FrameHeader& header, std::string_view null) {
  switch (header.type) {
    case '_':
      out.append(null);
      break;
    case '#':
      out.append(header.line == "t" ? ":1\r\n" : ":0\r\n");
      break;
    case ',':
    case '(':
      append_bulk(out, header.line);
      break;
    default:
      out.push_back(header.type);
      out.append(header.line).append("\r\n", 2);
  }
}

// Elements of an aggregate, as RESP2 counts them.
std::size_t element_count(const FrameHeader& header, std::string_view body) {
  if (header.streamed) return count_streamed(body);
  if (header.number < 0) return 0;
  return static_cast<std::size_t>(header.number) * (header.type == '%' ? 2 : 1);
}

// By the general rules, a null becoming `null`. Works through the bytes once, without recursion:
// RESP2 needs no look back.
void append_general(std::string& out, std::string_view frame, std::string_view null = kNullBulk) {
  const bool same = frame.starts_with('+') || frame.starts_with('-') || frame.starts_with(':');
  if (same || (frame.starts_with('$') && !frame.starts_with("$?"))) {
    out.append(frame);
    return;
  }
  while (!frame.empty()) {
    frame = skip_attributes(frame);
    const FrameHeader header = read_header(frame);
    frame.remove_prefix(header.size);
    if (header.type == '.') continue;
    if (has_bytes(header.type)) {
      frame.remove_prefix(append_bytes(out, header, frame));
    } else if (!is_aggregate(header.type)) {
      append_line(out, header, null);
    } else if (!header.streamed && header.number < 0) {
      out.append(kNullArray);
    } else {
      append_header(out, '*', static_cast<std::int64_t>(element_count(header, frame)));
    }
  }
}

// The elements of one aggregate, one by one.
class Elements {
 public:
  explicit Elements(std::string_view frame) {
    frame = skip_attributes(frame);
    header_ = read_header(frame);
    rest_ = frame.substr(header_.size);
    count_ = is_aggregate(header_.type) ? element_count(header_, rest_) : 0;
  }
  bool is_array() const { return header_.type == '*' && (header_.streamed || header_.number >= 0); }
  bool is_map() const { return header_.type == '%'; }
  std::size_t count() const { return count_; }
  std::string_view next() {
    const std::size_t size = frame_size(rest_);
    const std::string_view element = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return element;
  }

 private:
  FrameHeader header_;
  std::string_view rest_;
  std::size_t count_ = 0;
};

bool is_null(std::string_view frame) {
  frame = skip_attributes(frame);
  return frame.starts_with('_') || frame == kNullBulk || frame == kNullArray;
}

void append_nullable(std::string& out, std::string_view frame) {
  if (is_null(frame)) {
    out.append(kNullArray);
  } else {
    append_general(out, frame);
  }
}

// [[member, score], ...] -> [member, score, ...]; anything else as it is.
void append_flat_pairs(std::string& out, std::string_view frame) {
  Elements pairs(frame);
  bool nested = pairs.is_array() && pairs.count() > 0;
  Elements probe = pairs;
  for (std::size_t i = 0; nested && i < pairs.count(); ++i) {
    const Elements pair(probe.next());
    nested = pair.is_array() && pair.count() == 2;
  }
  if (!nested) {
    append_general(out, frame);
    return;
  }
  append_header(out, '*', static_cast<std::int64_t>(2 * pairs.count()));
  for (std::size_t i = 0; i < pairs.count(); ++i) {
    Elements pair(pairs.next());
    append_general(out, pair.next());
    append_general(out, pair.next());
  }
}

// {stream: entries, ...} -> [[stream, entries], ...]. An entry deleted since has null for its
// fields.
void append_stream_map(std::string& out, std::string_view frame) {
  Elements map(frame);
  if (!map.is_map()) {
    append_nullable(out, frame);
    return;
  }
  append_header(out, '*', static_cast<std::int64_t>(map.count() / 2));
  for (std::size_t i = 0; i < map.count() / 2; ++i) {
    append_header(out, '*', 2);
    append_general(out, map.next());
    append_general(out, map.next(), kNullArray);
  }
}

// An array in which nulls are null arrays: all of them, or only the last element.
void append_null_elements(std::string& out, std::string_view frame, bool only_last) {
  Elements elements(frame);
  if (!elements.is_array()) {
    append_general(out, frame);
    return;
  }
  append_header(out, '*', static_cast<std::int64_t>(elements.count()));
  for (std::size_t i = 0; i < elements.count(); ++i) {
    if (only_last && i + 1 < elements.count()) {
      append_general(out, elements.next());
    } else {
      append_nullable(out, elements.next());
    }
  }
}

}  // namespace

void append_resp2(std::string& out, std::string_view frame, const CommandSpec* spec,
                  const Args& args) {
  switch (spec == nullptr ? Resp2Form::general : spec->resp2) {
    case Resp2Form::general:
      return append_general(out, frame);
    case Resp2Form::null_array:
    case Resp2Form::null_array_on_timeout:
      return append_nullable(out, frame);
    case Resp2Form::null_array_if_count:
      return args.size() > 2 ? append_nullable(out, frame) : append_general(out, frame);
    case Resp2Form::null_array_elements:
      return append_null_elements(out, frame, false);
    case Resp2Form::null_array_last:
      return append_null_elements(out, frame, true);
    case Resp2Form::flat_pairs:
      return append_flat_pairs(out, frame);
    case Resp2Form::stream_map:
      return append_stream_map(out, frame);
  }
}

void append_resp2_block(std::string& out, std::string_view frame,
                        std::span<const BlockCommand> block) {
  Elements elements(frame);
  if (!elements.is_array() || elements.count() != block.size()) {
    append_nullable(out, frame);
    return;
  }
  append_header(out, '*', static_cast<std::int64_t>(block.size()));
  for (const BlockCommand& command : block) {
    const bool timeout_form =
        command.spec != nullptr && command.spec->resp2 == Resp2Form::null_array_on_timeout;
    append_resp2(out, elements.next(), timeout_form ? nullptr : command.spec, *command.args);
  }
}

}  // namespace stayd
