// The shape of frames that a FrameScanner has already found well-formed: where headers and frames
// end. Internal to resp/ (ReplyView and the RESP2 converter). Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace stayd {

struct FrameHeader {
  char type = '_';
  bool streamed = false;    // "$?", "*?", ...
  std::int64_t number = 0;  // length or count, where the type has one
  std::string_view line;    // between the type byte and CRLF
  std::size_t size = 0;     // bytes up to and including CRLF
};

// The first line of `frame`. An incomplete line (which a scanned frame never has) reads as its
// rest.
FrameHeader read_header(std::string_view frame);

inline bool is_aggregate(char type) {
  return type == '*' || type == '%' || type == '~' || type == '>' || type == '|';
}
// Types whose line is a length of bytes that follow, behind CRLF.
inline bool has_bytes(char type) {
  return type == '$' || type == '!' || type == '=';
}

// Bytes of the first frame in `frames`, attributes in front of it included.
std::size_t frame_size(std::string_view frames);

// `frame` without the attributes in front of the reply.
std::string_view skip_attributes(std::string_view frame);

// Elements of a streamed aggregate, up to its ".".
std::size_t count_streamed(std::string_view body);

}  // namespace stayd
