// Requests parsed whole and in pieces are the same requests; a frame parses back to its arguments;
// views stay within the bytes. The first input byte chooses the pieces.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "resp/command_table.h"
#include "resp/request_parser.h"

namespace {

using stayd::Args;
using stayd::RequestLimits;
using stayd::RequestParser;

// What was parsed of `stream` when it arrives `step` bytes at a time, one text per request.
std::vector<std::string> parse(std::string_view stream, std::size_t step,
                               const RequestLimits& limits) {
  RequestParser parser;
  std::vector<std::string> all;
  Args args;
  std::size_t begin = 0;
  for (std::size_t end = std::min(step, stream.size());;
       end = std::min(end + step, stream.size())) {
    while (begin < end) {
      // A copy of its own, so that a view kept from an earlier call or a byte too many is noticed.
      const std::string buffer(stream.substr(begin, end - begin));
      const auto outcome = parser.parse(buffer, limits, args);
      if (outcome.status == RequestParser::Status::need_more) break;
      STAYD_ASSERT(outcome.consumed <= buffer.size());
      all.push_back(std::to_string(static_cast<int>(outcome.status)) + std::string(outcome.error) +
                    "/" + std::string(outcome.frame));
      for (const std::string_view arg : args) all.back().append("|").append(arg);
      if (outcome.status == RequestParser::Status::error) return all;
      STAYD_ASSERT(outcome.consumed > 0);
      begin += outcome.consumed;
    }
    if (end == stream.size()) return all;
  }
}

void encode_and_parse_back(std::string_view stream) {
  RequestParser parser, again;
  Args args, twice;
  const auto first = parser.parse(stream, {}, args);
  if (first.status != RequestParser::Status::ready) return;
  std::string encoded;
  stayd::append_request(encoded, args);
  if (!first.frame.empty()) STAYD_ASSERT(encoded == first.frame);
  const auto second = again.parse(encoded, {}, twice);
  STAYD_ASSERT(second.status == RequestParser::Status::ready);
  STAYD_ASSERT(second.consumed == encoded.size() && second.frame == encoded && twice == args);

  std::vector<std::uint32_t> positions;
  const stayd::CommandSpec* spec = stayd::find_command(args);
  stayd::unknown_command_error(args);
  stayd::unknown_subcommand_error(args);
  if (spec == nullptr || !stayd::arity_fits(*spec, args.size())) return;
  if (!stayd::find_keys(*spec, args, positions)) return;
  for (const std::uint32_t at : positions) STAYD_ASSERT(at > 0 && at < args.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  RequestLimits small;
  small.max_bulk_bytes = 64;
  small.max_elements = 8;
  small.max_inline_bytes = 64;
  small.max_request_bytes = 128;
  const std::size_t step = 1 + data[0] % 32;
  for (const RequestLimits& limits : {RequestLimits{}, small, stayd::kUnauthenticatedLimits}) {
    STAYD_ASSERT(parse(stream, stream.size(), limits) == parse(stream, step, limits));
  }
  encode_and_parse_back(stream);
  return 0;
}
