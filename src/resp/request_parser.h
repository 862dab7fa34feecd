// Incremental parser of client requests: RESP arrays of bulk strings, and inline commands.
//
// Pure bytes in, views out; no allocation per command beyond the argument vector, which is reused.
// The caller owns the buffer and keeps the unconsumed bytes; the parser remembers how far it has
// read into them, so that a large request arriving in pieces is scanned once. Not thread-safe; one
// parser per client connection.
//
// Source: https://redis.io/docs/reference/protocol-spec/ and networking.c of Redis 7.0 (limits,
// texts of protocol errors, inline quoting rules of sdssplitargs).
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace stayd {

using Args = std::vector<std::string_view>;

struct RequestLimits {
  std::size_t max_bulk_bytes = 16u << 20;    // one argument
  std::size_t max_elements = 1'048'576;      // arguments of one request, as Redis
  std::size_t max_inline_bytes = 64u << 10;  // Redis' PROTO_INLINE_MAX_SIZE
  std::size_t max_request_bytes = 64u << 20;
  bool unauthenticated = false;  // chooses the error texts Redis has before AUTH
};
// Before AUTH: Redis' own limits (networking.c, 6.2.6 and later).
inline constexpr RequestLimits kUnauthenticatedLimits{16u << 10, 10, 16u << 10, 16u << 10, true};

class RequestParser {
 public:
  enum class Status {
    need_more,  // nothing complete yet: read more, keep every byte from `consumed` on
    ready,      // `args` and `frame` are set, views into `buffer`
    empty,      // an empty inline line or `*0`/`*-1`: consumed, no reply, no command
    error,      // `error` holds the full reply line without CRLF ("ERR Protocol error: ..."); close
  };

  struct Outcome {
    Status status = Status::need_more;
    std::size_t consumed = 0;  // bytes of `buffer` that belong to what was returned
    // The request's exact bytes. Empty for inline requests and for those where Redis is lenient
    // about line ends (it checks no LF and no CRLF after a bulk): these are forwarded re-encoded,
    // so that no two parsers along the way can disagree about where a request ends.
    std::string_view frame;
    std::string_view error;  // valid until the next call
  };

  // Parses the first request in `buffer`. After `need_more`, call again with a buffer that starts
  // with the same bytes and is longer. `args` is cleared first. Inline arguments that needed
  // unquoting are views into the parser and valid until the next call.
  Outcome parse(std::string_view buffer, const RequestLimits& limits, Args& args);

  // Bytes of the current, incomplete request that must still arrive, as far as known (0: unknown).
  // Lets the reader size its buffer once for a large bulk.
  std::size_t bytes_missing() const;
  // Memory that an incomplete request of many arguments takes besides the buffer.
  std::size_t held_bytes() const { return spans_.capacity() * sizeof(ArgSpan); }

 private:
  struct ArgSpan {
    std::size_t offset;
    std::size_t size;
  };
  enum class Step { done, need_more, failed };

  void reset();
  Outcome suspend(std::string_view buffer, Args& args);
  void restore(std::string_view buffer, Args& args) const;
  Outcome parse_inline(std::string_view buffer, const RequestLimits& limits, Args& args);
  Outcome parse_multibulk(std::string_view buffer, const RequestLimits& limits, Args& args);
  Step read_count(std::string_view buffer, const RequestLimits& limits);
  Step read_bulk_header(std::string_view buffer, const RequestLimits& limits);
  Step read_number(std::string_view buffer, long long& value, bool& valid);
  bool split_inline(std::string_view line, Args& args);
  void fail(std::string text);

  std::size_t pos_ = 0;        // read position inside the current request
  long long elements_ = -1;    // announced argument count, -1: header not read yet
  long long bulk_ = -1;        // announced size of the bulk being read, -1: its header not read yet
  std::size_t line_from_ = 0;  // no line end between pos_ and here
  bool strict_ = true;         // every line end so far was CRLF
  std::vector<ArgSpan> spans_;  // arguments of the request under way, while it waits for more bytes
  std::string scratch_;         // unquoted inline arguments
  std::string error_;
  std::size_t missing_ = 0;
};

// Encodes `args` as a RESP array of bulk strings, appended to `out`.
void append_request(std::string& out, const std::vector<std::string_view>& args);
void append_request(std::string& out, std::initializer_list<std::string_view> args);

}  // namespace stayd
