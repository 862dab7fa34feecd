// What a postgresql:// URL says, as far as we look: libpq reads it, and connects by it. Pure; any
// thread.
#pragma once

#include <string>

#include "base/error.h"

namespace stayd {

// Where that is, for people: "postgresql://host:port/database". Errors: invalid, and never with the
// password.
Result<std::string> postgres_place(const std::string& url);

}  // namespace stayd
