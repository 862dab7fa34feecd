// What the engine tells clients when it cannot do what they ask. Texts are settled by ADR 0005 and
// docs/failure_modes.md. Complete error replies.
#pragma once

#include <string_view>

namespace stayd {

inline constexpr std::string_view kNotDurable =
    "-ERR stayd: the logout could not be made durable\r\n";

inline constexpr std::string_view kInDoubt =
    "-ERR stayd: outcome unknown, connection to Redis lost\r\n";
inline constexpr std::string_view kNotTrusted =
    "-ERR stayd: outcome unknown, Redis was not trusted when it ran\r\n";
inline constexpr std::string_view kDenied =
    "-ERR stayd: outcome unknown, Redis refuses MULTI, EXISTS or EVALSHA beside it: "
    "allow them to stayd's user\r\n";

}  // namespace stayd
