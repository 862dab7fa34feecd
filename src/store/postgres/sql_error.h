// What an error of PostgreSQL means for us. Pure; any thread. Source: "PostgreSQL Error Codes",
// appendix A of its manual.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace stayd {

struct SqlError {
  std::string state;       // SQLSTATE, empty where there is none
  Error error;             // for whoever asked
  bool retry = false;      // the same again may go well at once: deadlock, serialisation
  bool read_only = false;  // writes are out, reads are not
  bool fatal = false;      // this connection is of no use any more
};

// `state` as above; `message`: the server's or libpq's own text.
SqlError classify(std::string_view state, std::string_view message);

}  // namespace stayd
