// A command's words as the engine gets them from a client: encoded, parsed by the real parser,
// found in the command table. Used by every simulated user; stateless.
#pragma once

#include "base/error.h"
#include "core/call.h"
#include "resp/request_parser.h"
#include "sim/history.h"

namespace stayd::sim {

inline void fill(Call& call, const Words& words) {
  const Args args(words.begin(), words.end());
  append_request(call.raw, args);
  RequestParser parser;
  const auto outcome = parser.parse(call.raw, RequestLimits{}, call.args);
  STAYD_ASSERT(outcome.status == RequestParser::Status::ready);
  call.spec = find_command(call.args);
  STAYD_ASSERT(call.spec != nullptr && arity_fits(*call.spec, call.args.size()));
}

}  // namespace stayd::sim
