// The classification table of docs/failure_modes.md as code: what an error reply of Redis says
// about Redis, and what to do. Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace stayd {

enum class ReplyClass : std::uint8_t {
  ordinary,    // any reply that says nothing about Redis' health (values, WRONGTYPE, ERR ...)
  shard_out,   // not applied; Redis serves nothing now: LOADING, BUSY, MASTERDOWN, CLUSTERDOWN,
               // NOAUTH ...
  elsewhere,   // not applied; this slot is not, or not wholly, here: MOVED, ASK, TRYAGAIN
  wrong_node,  // not applied; READONLY, UNBLOCKED: condemn the connection, resolve again
  no_memory,   // not applied; OOM: writes refused, deletes and reads fine
  no_writes,   // not applied; MISCONF, NOREPLICAS: every write refused, deletes included
  no_script,   // NOSCRIPT: the script cache is empty after a restart
  guard_miss,  // our own guard script: the key is not there
  denied,      // NOPERM: configuration error
};

inline constexpr std::string_view kGuardMiss = "STAYDMISS";

// `reply`: a complete frame, or the text of an error without '-'. Looks at the first word only.
ReplyClass classify_reply(std::string_view frame);

// Of a Cluster: where the slot is, or the key. (TRYAGAIN does not say.)
inline bool is_redirection(std::string_view frame) {
  return frame.starts_with("-MOVED ") || frame.starts_with("-ASK ");
}

// Not applied, because of Redis' own troubles.
inline bool is_trouble(ReplyClass reply_class) {
  return reply_class == ReplyClass::shard_out || reply_class == ReplyClass::elsewhere ||
         reply_class == ReplyClass::wrong_node || reply_class == ReplyClass::no_memory ||
         reply_class == ReplyClass::no_writes;
}
// And nothing of what this connection is asked for is.
inline bool is_out(ReplyClass reply_class) {
  return reply_class == ReplyClass::shard_out || reply_class == ReplyClass::elsewhere ||
         reply_class == ReplyClass::wrong_node;
}

}  // namespace stayd
