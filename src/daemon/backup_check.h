// What `stayd check` says of the shared backup: it connects as a server would. Blocks.
#pragma once

#include <vector>

#include "daemon/advice.h"
#include "daemon/config.h"

namespace stayd {

// Nothing where there is none.
std::vector<Finding> check_backup(const Config& config);

}  // namespace stayd
