// What a postgresql:// URL says, as far as we look: libpq reads it, and connects by it. Pure; any
// thread.
#pragma once

#include <string>

#include "base/error.h"

namespace stayd {

// Errors: invalid, for what is no URL of a backup at all.
Result<void> check_postgres_url(const std::string& url);

// Where that is, for people: "postgresql://host:port/database". Errors: invalid, and never with the
// password.
Result<std::string> postgres_place(const std::string& url);

}  // namespace stayd
