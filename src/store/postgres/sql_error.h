// What an error of PostgreSQL means for us. Pure; any thread. Source: "PostgreSQL Error Codes",
// appendix A of its manual.
#pragma once

#include <string_view>

#include "store/backup/link.h"

namespace stayd {

// `state`: SQLSTATE, empty where there is none; `message`: the server's or libpq's own text.
SqlError classify(std::string_view state, std::string_view message);

}  // namespace stayd
