// Files that people write: keys, passwords, configuration. Blocks; any thread.
#pragma once

#include <cstddef>
#include <string>

#include "base/error.h"

namespace stayd {

// All of it. invalid, with its path: it cannot be read, or is larger.
Result<std::string> read_small_file(const std::string& path, std::size_t max_bytes);

}  // namespace stayd
