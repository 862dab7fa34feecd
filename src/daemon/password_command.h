// Runs redis.password_command: a program with arguments, without a shell, that prints a password.
// Blocks; the server calls it on a thread of its own (credentials.h). Any thread, owns nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace stayd {

struct PasswordCommandLimits {
  std::int64_t deadline_ms = 10'000;
  // A token of a cloud is about 2 KB; whoever prints more prints no password.
  std::size_t max_output_bytes = 16u << 10;
  int cancel_fd = -1;  // readable: give up; -1: never
};

// The one line that the program printed. It and what it started are killed at the deadline, and
// when it ends. Its standard input is empty; of the environment it gets all but what is meant for
// stayd (STAYD_..., LISTEN_..., NOTIFY_SOCKET, WATCHDOG_...).
// Errors: unavailable, with the program's name and why: exit code, signal, deadline, or output that
// is not one line of text. What it said on standard error is part of that; its output never is.
Result<std::string> run_password_command(const std::vector<std::string>& argv,
                                         const PasswordCommandLimits& limits = {});

// The password in what a program printed. Errors: unavailable.
Result<std::string> password_in(std::string_view output);

}  // namespace stayd
