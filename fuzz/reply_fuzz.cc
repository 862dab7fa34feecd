// A reply has the same end whole and in pieces; a view of it reaches every byte it should and no
// other; what the converter makes of it is one well-formed RESP2 reply. The first input byte
// chooses the pieces, the second the command.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "resp/command_table.h"
#include "resp/convert.h"
#include "resp/reply.h"

namespace {

using stayd::FrameScanner;
using stayd::ReplyView;

std::size_t walk(const ReplyView& view) {
  std::size_t visited = 1 + view.text().size();
  (void)view.integer();
  ReplyView element;
  std::size_t elements = 0;
  for (auto rest = view.elements(); rest.next(element); ++elements) visited += walk(element);
  STAYD_ASSERT(elements == view.size());
  return visited;
}

bool only_resp2(const ReplyView& view) {
  if (std::string_view("+-:$*").find(view.frame()[0]) == std::string_view::npos) return false;
  ReplyView element;
  for (auto rest = view.elements(); rest.next(element);) {
    if (!only_resp2(element)) return false;
  }
  return true;
}

void check_converted(const std::string& out) {
  // XREAD's map becomes an array of arrays: one level more than the reply had.
  FrameScanner scanner;
  const auto outcome = scanner.scan(out, {.max_depth = stayd::FrameLimits{}.max_depth + 1});
  STAYD_ASSERT(outcome.status == FrameScanner::Status::ready && outcome.size == out.size());
  STAYD_ASSERT(only_resp2(ReplyView(out)));
}

void convert(std::string_view frame, std::uint8_t choice) {
  constexpr std::string_view kNames[] = {"get",   "zrange", "lpop",     "geopos",
                                         "xread", "exec",   "xpending", "blmove"};
  const stayd::CommandSpec* spec = stayd::find_command(kNames[choice % std::size(kNames)]);
  const stayd::Args args((choice >> 3) % 4, "x");
  std::string out;
  stayd::append_resp2(out, frame, choice == 255 ? nullptr : spec, args);
  check_converted(out);
  out.clear();
  const stayd::BlockCommand block[] = {{spec, &args}, {nullptr, &args}};
  stayd::append_resp2_block(out, frame, block);
  check_converted(out);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 2, size - 2);
  FrameScanner whole, slow;
  const auto expected = whole.scan(stream);
  FrameScanner::Outcome outcome{FrameScanner::Status::need_more, 0, {}};
  const std::size_t step = 1 + data[0] % 16;
  for (std::size_t end = step; outcome.status == FrameScanner::Status::need_more; end += step) {
    const std::string buffer(stream.substr(0, end));
    outcome = slow.scan(buffer);
    if (end >= stream.size()) break;
  }
  STAYD_ASSERT(outcome.status == expected.status && outcome.size == expected.size);
  if (expected.status != FrameScanner::Status::ready) return 0;

  // A copy of exactly the frame, so that a read beyond it is noticed.
  const std::string frame(stream.substr(0, expected.size));
  walk(ReplyView(frame));
  convert(frame, data[1]);
  return 0;
}
