#include "store/backup/sql_session.h"

#include <fmt/format.h>
#include <poll.h>

#include <cerrno>

namespace stayd {

std::optional<Error> check_schema(std::int64_t version, int known) {
  if (version == known) return std::nullopt;
  const bool newer = version > known;
  return make_error(newer ? Errc::newer_format : Errc::unavailable,
                    fmt::format("backup: the schema has version {}, this stayd {} {}: {}", version,
                                newer ? "knows" : "needs", known,
                                newer ? "upgrade stayd" : "run \"stayd backup init\""));
}

Result<void> wait_for_server(const BackupOptions& options, std::int64_t deadline_us, int cancel_fd,
                             int fd, short events) {
  for (;;) {
    const std::int64_t left_us = deadline_us - options.now().mono_us;
    if (left_us <= 0) {
      return make_error(Errc::timed_out, "backup: the server does not answer within the deadline");
    }
    pollfd waiting[] = {{fd, events, 0}, {cancel_fd, POLLIN, 0}};
    const int ready = ::poll(waiting, 2, static_cast<int>(left_us / 1000 + 1));
    if (ready < 0 && errno != EINTR) return make_error(Errc::io, "backup: poll() failed");
    if (waiting[1].revents != 0) return make_error(Errc::unavailable, "backup: stopping");
    if (ready > 0) return {};
  }
}

}  // namespace stayd
