#include "resp/request_parser.h"

#include <algorithm>
#include <climits>
#include <cstdint>
#include <cstring>

#include "resp/numbers.h"

namespace stayd {
namespace {

// PROTO_INLINE_MAX_SIZE: how long Redis waits for the end of a count's line.
constexpr std::size_t kMaxHeaderLine = 64u << 10;

std::size_t find_byte(std::string_view text, char byte, std::size_t from) {
  if (from >= text.size()) return std::string_view::npos;
  const void* hit = std::memchr(text.data() + from, byte, text.size() - from);
  if (hit == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(hit) - text.data());
}

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char unescape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

// Appends the quoted text that starts at line[at] (behind the quote) to `out`. Returns the position
// behind the closing quote, or npos: not closed, or closed in the middle of a word.
std::size_t unquote(std::string_view line, std::size_t at, char quote, std::string& out) {
  for (; at < line.size(); ++at) {
    const char c = line[at];
    if (c == quote) {
      const bool word_ends = at + 1 == line.size() || is_space(line[at + 1]);
      return word_ends ? at + 1 : std::string_view::npos;
    }
    const std::size_t left = line.size() - at;
    if (c != '\\' || left < 2 || (quote == '\'' && line[at + 1] != '\'')) {
      out.push_back(c);
    } else if (quote == '"' && left >= 4 && line[at + 1] == 'x' && hex_digit(line[at + 2]) >= 0 &&
               hex_digit(line[at + 3]) >= 0) {
      out.push_back(static_cast<char>(hex_digit(line[at + 2]) * 16 + hex_digit(line[at + 3])));
      at += 3;
    } else {
      ++at;
      out.push_back(quote == '"' ? unescape(line[at]) : line[at]);
    }
  }
  return std::string_view::npos;
}

constexpr std::size_t kKeptSpans = 64;  // for the next request that arrives in pieces

bool ends_plain_word(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

}  // namespace

void RequestParser::reset() {
  pos_ = 0;
  elements_ = -1;
  bulk_ = -1;
  line_from_ = 0;
  strict_ = true;
  spans_.clear();
  if (spans_.capacity() > kKeptSpans) spans_ = {};
  missing_ = 0;
}

void RequestParser::fail(std::string text) {
  error_ = "ERR Protocol error: " + std::move(text);
}

std::size_t RequestParser::bytes_missing() const {
  return missing_;
}

RequestParser::Outcome RequestParser::parse(std::string_view buffer, const RequestLimits& limits,
                                            Args& args) {
  args.clear();
  if (buffer.empty()) return {};
  if (buffer[0] != '*') return parse_inline(buffer, limits, args);
  return parse_multibulk(buffer, limits, args);
}

// Keeps what this call read of an incomplete request; `args` are restored once, when it is
// complete.
RequestParser::Outcome RequestParser::suspend(std::string_view buffer, Args& args) {
  for (const std::string_view arg : args) {
    spans_.push_back({static_cast<std::size_t>(arg.data() - buffer.data()), arg.size()});
  }
  args.clear();
  missing_ = 0;
  if (bulk_ >= 0) missing_ = pos_ + static_cast<std::size_t>(bulk_) + 2 - buffer.size();
  return {};
}

// Puts the arguments that earlier calls read in front of this call's.
void RequestParser::restore(std::string_view buffer, Args& args) const {
  args.insert(args.begin(), spans_.size(), {});
  for (std::size_t i = 0; i < spans_.size(); ++i) {
    args[i] = buffer.substr(spans_[i].offset, spans_[i].size);
  }
}

RequestParser::Outcome RequestParser::parse_multibulk(std::string_view buffer,
                                                      const RequestLimits& limits, Args& args) {
  Step step = elements_ >= 0 ? Step::done : read_count(buffer, limits);
  const std::size_t earlier = spans_.size();
  while (step == Step::done && earlier + args.size() < static_cast<std::size_t>(elements_)) {
    if (bulk_ < 0) step = read_bulk_header(buffer, limits);
    if (step != Step::done) break;
    const auto size = static_cast<std::size_t>(bulk_);
    if (buffer.size() - pos_ < size + 2) {
      step = Step::need_more;
      break;
    }
    args.push_back(buffer.substr(pos_, size));
    pos_ += size + 2;
    strict_ = strict_ && buffer[pos_ - 2] == '\r' && buffer[pos_ - 1] == '\n';
    bulk_ = -1;
    line_from_ = pos_;
  }
  if (step == Step::need_more) return suspend(buffer, args);

  Outcome outcome;
  outcome.consumed = pos_;
  if (step == Step::failed) {
    outcome.status = Status::error;
    outcome.error = error_;
    args.clear();
  } else if (elements_ == 0) {
    outcome.status = Status::empty;
  } else {
    outcome.status = Status::ready;
    if (!spans_.empty()) restore(buffer, args);
    if (strict_) outcome.frame = buffer.substr(0, pos_);
  }
  reset();
  return outcome;
}

// Reads the number between buffer[pos_] (the type byte) and its line end, and steps over both.
// `valid` is false when it is not a number. need_more changes nothing but line_from_.
RequestParser::Step RequestParser::read_number(std::string_view buffer, long long& value,
                                               bool& valid) {
  // Nearly every header is a short run of digits and CRLF: one pass, no search.
  const char* digit = buffer.data() + pos_ + 1;
  const char* const end = buffer.data() + buffer.size();
  const char* const last = end - digit > 8 ? digit + 8 : end;
  long long number = 0;
  const char* const first = digit;
  while (digit < last && *digit >= '0' && *digit <= '9') number = number * 10 + (*digit++ - '0');
  if (end - digit >= 2 && digit[0] == '\r' && digit[1] == '\n' && digit > first &&
      (*first != '0' || digit == first + 1)) {
    value = number;
    valid = true;
    pos_ = static_cast<std::size_t>(digit - buffer.data()) + 2;
    line_from_ = pos_;
    return Step::done;
  }

  const std::size_t line_end = find_byte(buffer, '\r', std::max(pos_, line_from_));
  if (line_end == std::string_view::npos || line_end + 2 > buffer.size()) {
    line_from_ = line_end == std::string_view::npos ? buffer.size() : line_end;
    return Step::need_more;
  }
  std::int64_t parsed = 0;
  valid = line_end > pos_ && parse_integer(buffer.substr(pos_ + 1, line_end - pos_ - 1), parsed);
  value = parsed;
  strict_ = strict_ && buffer[line_end + 1] == '\n';
  pos_ = line_end + 2;
  line_from_ = pos_;
  return Step::done;
}

RequestParser::Step RequestParser::read_count(std::string_view buffer,
                                              const RequestLimits& limits) {
  long long count = 0;
  bool valid = false;
  if (read_number(buffer, count, valid) == Step::need_more) {
    if (buffer.size() <= kMaxHeaderLine) return Step::need_more;
    fail("too big mbulk count string");
    return Step::failed;
  }
  const auto most = static_cast<long long>(std::min<std::size_t>(limits.max_elements, INT_MAX));
  if (!valid || count > INT_MAX || (count > most && !limits.unauthenticated)) {
    fail("invalid multibulk length");
    return Step::failed;
  }
  if (count > most) {
    fail("unauthenticated multibulk length");
    return Step::failed;
  }
  elements_ = std::max(count, 0LL);
  return Step::done;
}

RequestParser::Step RequestParser::read_bulk_header(std::string_view buffer,
                                                    const RequestLimits& limits) {
  const std::size_t start = pos_;
  long long size = 0;
  bool valid = false;
  if (start == buffer.size()) return Step::need_more;
  if (read_number(buffer, size, valid) == Step::need_more) {
    if (buffer.size() - start <= kMaxHeaderLine) return Step::need_more;
    fail("too big bulk count string");
    return Step::failed;
  }
  if (buffer[start] != '$') {
    const char got = buffer[start] == '\r' || buffer[start] == '\n' ? ' ' : buffer[start];
    fail(std::string("expected '$', got '") + got + "'");
    return Step::failed;
  }
  const bool too_big = valid && size >= 0 &&
                       (static_cast<unsigned long long>(size) > limits.max_bulk_bytes ||
                        pos_ + static_cast<std::size_t>(size) + 2 > limits.max_request_bytes);
  if (!valid || size < 0 || (too_big && !limits.unauthenticated)) {
    fail("invalid bulk length");
    return Step::failed;
  }
  if (too_big) {
    fail("unauthenticated bulk length");
    return Step::failed;
  }
  bulk_ = size;
  return Step::done;
}

RequestParser::Outcome RequestParser::parse_inline(std::string_view buffer,
                                                   const RequestLimits& limits, Args& args) {
  Outcome outcome;
  const std::size_t line_end = find_byte(buffer, '\n', line_from_);
  const std::size_t length = line_end == std::string_view::npos ? buffer.size() : line_end;
  if (length > limits.max_inline_bytes) {
    fail("too big inline request");
    outcome.status = Status::error;
  } else if (line_end == std::string_view::npos) {
    line_from_ = buffer.size();
    return outcome;
  } else {
    std::string_view line = buffer.substr(0, line_end);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    outcome.consumed = line_end + 1;
    if (!split_inline(line, args)) {
      fail("unbalanced quotes in request");
      outcome.status = Status::error;
      args.clear();
    } else {
      outcome.status = args.empty() ? Status::empty : Status::ready;
    }
  }
  if (outcome.status == Status::error) outcome.error = error_;
  reset();
  return outcome;
}

// sdssplitargs of Redis' sds.c. Plain words stay views into the line; others move to scratch_.
bool RequestParser::split_inline(std::string_view line, Args& args) {
  scratch_.clear();
  scratch_.reserve(line.size());  // unquoting never lengthens: views into it stay valid
  std::size_t at = 0;
  while (true) {
    while (at < line.size() && is_space(line[at])) ++at;
    if (at == line.size()) return true;
    const std::size_t start = at;
    while (at < line.size() && !ends_plain_word(line[at]) && line[at] != '"' && line[at] != '\'') {
      ++at;
    }
    const std::string_view plain = line.substr(start, at - start);
    if (at == line.size() || ends_plain_word(line[at])) {
      args.push_back(plain);
      continue;
    }
    const std::size_t from = scratch_.size();
    scratch_.append(plain);
    at = unquote(line, at + 1, line[at], scratch_);
    if (at == std::string_view::npos) return false;
    args.push_back(std::string_view(scratch_).substr(from));
  }
}

namespace {
template <class List>
void append_list(std::string& out, const List& args) {
  append_header(out, '*', static_cast<std::int64_t>(args.size()));
  for (const std::string_view arg : args) {
    append_header(out, '$', static_cast<std::int64_t>(arg.size()));
    out.append(arg).append("\r\n", 2);
  }
}
}  // namespace

void append_request(std::string& out, const std::vector<std::string_view>& args) {
  append_list(out, args);
}

void append_request(std::string& out, std::initializer_list<std::string_view> args) {
  append_list(out, args);
}

}  // namespace stayd
