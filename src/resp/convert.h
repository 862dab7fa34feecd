// RESP3 -> RESP2, for clients that did not say HELLO 3. Pure bytes; any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "resp/command_table.h"

namespace stayd {

// Appends to `out` what redis-server 7.0 would have sent a RESP2 client for the same reply. `frame`
// is exactly one complete RESP3 frame. `spec` and `args` choose the form; `spec` may be null
// (general rules). Replies that are already RESP2 (simple, error, integer, bulk) cost one copy.
void append_resp2(std::string& out, std::string_view frame, const CommandSpec* spec,
                  const Args& args);

// A queued command of a MULTI block; `args` must outlive the call.
struct BlockCommand {
  const CommandSpec* spec = nullptr;
  const Args* args = nullptr;
};

// The same for EXEC's reply: each element has the form of its own command. Anything but an array of
// block.size() elements (nil of a failed WATCH, EXECABORT) is converted as EXEC's own reply.
void append_resp2_block(std::string& out, std::string_view frame,
                        std::span<const BlockCommand> block);

}  // namespace stayd
