#include "resp/frame.h"

#include <algorithm>
#include <cstring>

#include "resp/numbers.h"
#include "resp/reply.h"

namespace stayd {

FrameHeader read_header(std::string_view frame) {
  FrameHeader header;
  if (frame.empty()) return header;
  header.type = frame[0];
  const void* hit = std::memchr(frame.data(), '\r', frame.size());
  const std::size_t end =
      hit == nullptr ? frame.size()
                     : static_cast<std::size_t>(static_cast<const char*>(hit) - frame.data());
  header.line = frame.substr(1, end - 1);
  header.size = std::min(end + 2, frame.size());
  if (header.line == "?") {
    header.streamed = true;
  } else if (is_aggregate(header.type) || has_bytes(header.type) || header.type == ';') {
    parse_integer(header.line, header.number);
  }
  return header;
}

std::size_t frame_size(std::string_view frames) {
  std::size_t pos = 0;
  std::int64_t outstanding = 1;
  while (outstanding > 0 && pos < frames.size()) {
    const FrameHeader header = read_header(frames.substr(pos));
    if (header.streamed) {
      // Rare enough (no Redis sends them) to begin again with the scanner that knows them all.
      return FrameScanner().scan(frames).size;
    }
    pos += header.size;
    --outstanding;
    if (has_bytes(header.type)) {
      if (header.number >= 0) pos += static_cast<std::size_t>(header.number) + 2;
    } else if (is_aggregate(header.type) && header.number > 0) {
      const bool pairs = header.type == '%' || header.type == '|';
      outstanding += pairs ? 2 * header.number : header.number;
    }
    if (header.type == '|') ++outstanding;  // the reply it belongs to
  }
  return pos;
}

std::string_view skip_attributes(std::string_view frame) {
  while (!frame.empty() && frame[0] == '|') {
    const FrameHeader header = read_header(frame);
    frame.remove_prefix(header.size);
    if (header.streamed) {
      for (std::size_t left = count_streamed(frame); left > 0; --left) {
        frame.remove_prefix(frame_size(frame));
      }
      frame.remove_prefix(std::min<std::size_t>(3, frame.size()));  // ".\r\n"
      continue;
    }
    for (std::int64_t left = 2 * header.number; left > 0; --left) {
      frame.remove_prefix(frame_size(frame));
    }
  }
  return frame;
}

std::size_t count_streamed(std::string_view body) {
  std::size_t count = 0;
  while (!body.empty() && body[0] != '.') {
    body.remove_prefix(frame_size(body));
    ++count;
  }
  return count;
}

}  // namespace stayd
