#include <algorithm>
#include <cstring>

#include "resp/frame.h"
#include "resp/numbers.h"
#include "resp/reply.h"

namespace stayd {
namespace {

constexpr std::size_t kMaxLine = 64u << 10;  // simple strings, errors and numbers are short
constexpr std::int64_t kMaxElements = std::int64_t{1} << 31;

bool is_signed_digits(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_scalar(char type, std::string_view line) {
  std::int64_t number = 0;
  switch (type) {
    case '+':
    case '-':
      return true;
    case ':':
      return parse_integer(line.substr(line.starts_with('+') ? 1 : 0), number);
    case '_':
      return line.empty();
    case '#':
      return line == "t" || line == "f";
    case ',':
      return !line.empty();
    case '(':
      return is_signed_digits(line);
    default:
      return false;
  }
}

}  // namespace

void FrameScanner::reset() {
  pos_ = 0;
  line_from_ = 0;
  depth_ = 0;
  owed_ = false;
  complete_ = false;
  error_.clear();
}

FrameScanner::Outcome FrameScanner::scan(std::string_view buffer, const FrameLimits& limits) {
  while (error_.empty() && !complete_ && scan_element(buffer, limits)) {
  }
  if (!error_.empty()) return {Status::error, 0, error_};
  if (!complete_) return {Status::need_more, 0, {}};
  const std::size_t size = pos_;
  reset();
  return {Status::ready, size, {}};
}

bool FrameScanner::fail(const char* what) {
  error_ = std::string(what) + " at byte " + std::to_string(pos_);
  return false;
}

// One line, with its bytes where the type has some. False: more bytes are needed, or error_ is set.
bool FrameScanner::scan_element(std::string_view buffer, const FrameLimits& limits) {
  if (pos_ >= limits.max_frame_bytes) return fail("the reply is too large");
  const std::size_t from = std::max(pos_, line_from_);
  const void* hit = from < buffer.size()
                        ? std::memchr(buffer.data() + from, '\r', buffer.size() - from)
                        : nullptr;
  const std::size_t end =
      hit == nullptr ? buffer.size()
                     : static_cast<std::size_t>(static_cast<const char*>(hit) - buffer.data());
  if (end - std::min(pos_, end) > kMaxLine) return fail("a line is too long");
  if (end + 2 > buffer.size()) {
    line_from_ = end;
    return false;
  }
  if (buffer[end + 1] != '\n') return fail("CR without LF in the line");
  const char type = buffer[pos_];
  if (type == '\r') return fail("an empty line");
  const std::string_view line = buffer.substr(pos_ + 1, end - pos_ - 1);
  return scan_line(type, line, buffer, end + 2, limits);
}

bool FrameScanner::scan_line(char type, std::string_view line, std::string_view buffer,
                             std::size_t body, const FrameLimits& limits) {
  const std::int64_t expected = depth_ > 0 ? levels_[depth_ - 1].left : 0;
  if ((type == ';') != (expected == kChunks)) return fail("a chunk out of place");
  if (type == '.') return close_streamed(line, body);
  owed_ = false;
  if (!has_bytes(type) && !is_aggregate(type) && type != ';') {
    if (!is_scalar(type, line)) return fail("not a RESP reply");
    pos_ = line_from_ = body;
    element_done();
    return true;
  }

  std::int64_t number = 0;
  const bool streamed = line == "?" && type != ';' && type != '!' && type != '=';
  if (!streamed && !parse_integer(line, number)) return fail("a length that is no number");
  const bool null = number == -1 && (type == '$' || type == '*');
  if (number < 0 && !null) return fail("a negative length");
  if (has_bytes(type) || type == ';') {
    if (streamed) {
      pos_ = line_from_ = body;
      return open(kChunks, type, limits);
    }
    if (null || (type == ';' && number == 0)) {
      pos_ = line_from_ = body;
      if (type == ';') --depth_;
      element_done();
      return true;
    }
    return scan_bytes(buffer, body, number, limits);
  }
  if (null) {
    pos_ = line_from_ = body;
    element_done();
    return true;
  }
  if (number > kMaxElements) return fail("too many elements");
  pos_ = line_from_ = body;
  const bool pairs = type == '%' || type == '|';
  const std::int64_t elements = streamed ? kStreamed : number * (pairs ? 2 : 1);
  return open(elements, type, limits);
}

bool FrameScanner::scan_bytes(std::string_view buffer, std::size_t body, std::int64_t size,
                              const FrameLimits& limits) {
  const auto bytes = static_cast<std::uint64_t>(size);
  if (bytes > limits.max_frame_bytes || body + bytes + 2 > limits.max_frame_bytes) {
    return fail("the reply is too large");
  }
  const char type = buffer[pos_];
  if (type == '=' && bytes < 4) return fail("a verbatim string without format");
  if (buffer.size() < body + bytes + 2) return false;  // the header is read again: it is short
  if (type == '=' && buffer[body + 3] != ':') return fail("a verbatim string without format");
  if (buffer.compare(body + bytes, 2, "\r\n") != 0)
    return fail("a string that is longer than said");
  pos_ = line_from_ = body + bytes + 2;
  if (type != ';') element_done();
  return true;
}

bool FrameScanner::open(std::int64_t elements, char type, const FrameLimits& limits) {
  if (elements == 0) {
    if (type == '|') {
      owed_ = true;
    } else {
      element_done();
    }
    return true;
  }
  if (depth_ >= std::min(limits.max_depth, kDeepest)) return fail("nested too deeply");
  levels_[depth_++] = {elements, type};
  return true;
}

// The "." of a streamed aggregate.
bool FrameScanner::close_streamed(std::string_view line, std::size_t body) {
  const bool expected = depth_ > 0 && levels_[depth_ - 1].left == kStreamed;
  if (!expected || !line.empty()) return fail("an end mark out of place");
  const Level level = levels_[depth_ - 1];
  const bool pairs = level.type == '%' || level.type == '|';
  if (owed_ || (pairs && level.half_pair)) return fail("an end mark where a reply is owed");
  pos_ = line_from_ = body;
  --depth_;
  if (level.type == '|') {
    owed_ = true;
  } else {
    element_done();
  }
  return true;
}

// An element is complete; so are, outwards, the aggregates it was the last of.
void FrameScanner::element_done() {
  while (depth_ > 0) {
    Level& level = levels_[depth_ - 1];
    level.half_pair = !level.half_pair;
    if (level.left < 0) return;
    if (--level.left > 0) return;
    --depth_;
    if (level.type == '|') {
      owed_ = true;
      return;
    }
  }
  complete_ = true;
}

}  // namespace stayd
