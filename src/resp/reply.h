// Reading and writing replies, RESP2 and RESP3.
//
// Inside stayd every reply is RESP3 bytes, whoever made it (Redis, the stand-in, the proxy); only
// the proxy turns it into RESP2 for a RESP2 client (`convert.h`). Pure bytes, no I/O. Source:
// https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stayd {

// --- finding where a reply ends
// ---------------------------------------------------------------------

struct FrameLimits {
  std::size_t max_frame_bytes = 1u << 30;
  int max_depth = 32;
};

// Incremental: remembers its position, so that a reply arriving in pieces is scanned once. Handles
// all RESP2 and RESP3 types including attributes ('|': counted as part of the following reply),
// pushes and streamed strings and aggregates ("$?", "*?", ";", ".").
class FrameScanner {
 public:
  enum class Status { need_more, ready, error };
  struct Outcome {
    Status status;
    std::size_t size;        // bytes of the complete first frame when ready
    std::string_view error;  // says what and at which byte offset
  };
  // After need_more: call again with a longer buffer that starts with the same bytes. After ready
  // the scanner stands at the start of a new frame; after error it stays there until reset().
  Outcome scan(std::string_view buffer, const FrameLimits& limits = {});
  void reset();

 private:
  static constexpr int kDeepest = 33;  // bounds FrameLimits::max_depth
  static constexpr std::int64_t kStreamed = -1, kChunks = -2;
  struct Level {
    std::int64_t left;       // elements outstanding; kStreamed: until "."; kChunks: until ";0"
    char type;               // a '|' belongs to the reply that follows: counts for nothing itself
    bool half_pair = false;  // streamed pairs: a key without its value so far
  };
  bool scan_element(std::string_view buffer, const FrameLimits& limits);
  bool scan_line(char type, std::string_view line, std::string_view buffer, std::size_t body,
                 const FrameLimits& limits);
  bool scan_bytes(std::string_view buffer, std::size_t body, std::int64_t size,
                  const FrameLimits& limits);
  bool open(std::int64_t elements, char type, const FrameLimits& limits);
  bool close_streamed(std::string_view line, std::size_t body);
  bool fail(const char* what);
  void element_done();

  std::size_t pos_ = 0;        // everything before it is scanned
  std::size_t line_from_ = 0;  // no line end between pos_ and here
  Level levels_[kDeepest] = {};
  int depth_ = 0;
  bool owed_ = false;  // an attribute waits for its reply
  bool complete_ = false;
  std::string error_;
};

// --- looking into a complete reply
// ------------------------------------------------------------------

enum class ReplyType : char {
  simple = '+',
  error = '-',
  integer = ':',
  bulk = '$',
  array = '*',
  null = '_',
  boolean = '#',
  real = ',',
  big_number = '(',
  bulk_error = '!',
  verbatim = '=',
  map = '%',
  set = '~',
  push = '>',
};

// A view of one complete, well-formed frame. Cheap to copy; the bytes must outlive it. Attributes
// are skipped. A streamed string in more than one chunk has no bytes to view and reports an
// `error`.
class ReplyView {
 public:
  ReplyView() = default;
  explicit ReplyView(
      std::string_view frame);  // requires: exactly one frame as FrameScanner found it

  ReplyType type() const { return type_; }  // RESP2 nulls ($-1, *-1) report `null`
  bool is_null() const { return type_ == ReplyType::null; }
  bool is_error() const { return type_ == ReplyType::error || type_ == ReplyType::bulk_error; }
  // simple, error, bulk, verbatim (without "txt:"), real, big_number: the bytes. Otherwise empty.
  std::string_view text() const { return text_; }
  // integer and boolean: the number. Otherwise nullopt.
  std::optional<std::int64_t> integer() const;
  // array, set, push: elements; map: 2 x pairs. Otherwise 0.
  std::size_t size() const { return size_; }
  // Visits the elements in order. `next(view)` returns false at the end.
  class Elements {
   public:
    explicit Elements(const ReplyView& view);
    bool next(ReplyView& element);

   private:
    std::string_view rest_;
    std::size_t left_;
  };
  Elements elements() const { return Elements(*this); }
  std::string_view frame() const { return frame_; }

 private:
  void view_chunks(std::string_view body);

  ReplyType type_ = ReplyType::null;
  std::string_view frame_;
  std::string_view text_;
  std::string_view body_;  // an aggregate's elements
  std::size_t size_ = 0;
};

// The reply to TIME in milliseconds since the epoch; nullopt: it is none.
std::optional<std::int64_t> time_reply_ms(const ReplyView& reply);

// --- writing (RESP3)
// -------------------------------------------------------------------------------- Each appends one
// complete reply, or an aggregate's header, to `out`.

void write_simple(std::string& out, std::string_view text);  // +text
void write_error(std::string& out,
                 std::string_view text);  // -text; CR and LF: spaces, none at the end
void write_integer(std::string& out, std::int64_t value);
void write_bulk(std::string& out, std::string_view bytes);
void write_null(std::string& out);
void write_bool(std::string& out, bool value);
void write_double(std::string& out, double value);             // as Redis 7.0: %.17g, inf, -inf
void write_verbatim(std::string& out, std::string_view text);  // =N\r\ntxt:...
void write_array(std::string& out, std::size_t elements);
void write_map(std::string& out, std::size_t pairs);
void write_set(std::string& out, std::size_t elements);
void write_push(std::string& out, std::size_t elements);

// The text Redis gives a double in ZSCORE and friends ("%.17g", integers without exponent up to
// 2^53).
std::string format_double(double value);

}  // namespace stayd
