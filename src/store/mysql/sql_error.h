// What an error of MySQL or MariaDB means for us. Pure; any thread. Source: their lists of error
// codes; the same number is the same error in both, where both have it.
#pragma once

#include <string_view>

#include "store/backup/link.h"

namespace stayd::mysql {

// `number`: the server's, or the client library's from 2000 to 2999.
SqlError error_of(unsigned number, std::string_view message);

}  // namespace stayd::mysql
