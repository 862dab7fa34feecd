// What the sessions of all databases with a shared backup have in common. Any thread.
#pragma once

#include <cstdint>
#include <optional>

#include "base/error.h"
#include "store/backup/options.h"

namespace stayd {

// newer_format: upgrade stayd; unavailable: run "stayd backup init".
std::optional<Error> check_schema(std::int64_t version, int known);

// Until `fd` has one of `events`. timed_out: not until `deadline_us`. unavailable: `cancel_fd` (-1:
// none) can be read.
Result<void> wait_for_server(const BackupOptions& options, std::int64_t deadline_us, int cancel_fd,
                             int fd, short events);

}  // namespace stayd
