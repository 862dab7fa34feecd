// `stayd backfill`: joins the backfill that is under way, or starts one, and shows it to its end.
#include <fmt/format.h>
#include <poll.h>

#include <ostream>

#include "base/real_time.h"
#include "daemon/backfill_progress.h"
#include "daemon/commands.h"

namespace stayd {

namespace {

constexpr int kLookMs = 100;
constexpr std::int64_t kLinesMs = 1000;  // between lines, where they cannot be rewritten

std::int64_t monotonic_ms() {
  return real_now().mono_us / 1000;
}

void show(const BackfillProgress& progress, bool json, Terminal terminal) {
  if (json) {
    terminal.out << progress.json() << '\n';
  } else if (terminal.live) {
    terminal.out << "\r\x1b[K" << progress.line() << (progress.complete() ? "\n" : "");
  } else {
    terminal.out << progress.line() << '\n';
  }
  terminal.out.flush();
}

}  // namespace

int run_backfill(const Config& config, const CommandLine& line, Terminal terminal) {
  const auto started = ask_server(config, "POST", "/backfill", terminal);
  if (!started) return 1;
  if (!line.json) terminal.out << *started;
  BackfillProgress progress;
  for (std::int64_t shown_ms = monotonic_ms() - kLinesMs;;) {
    const auto status = ask_server(config, "GET", "/status.json", terminal);
    if (!status) return 1;
    const std::int64_t now_ms = monotonic_ms();
    if (!progress.take(*status, now_ms)) {
      terminal.err << "stayd: the answer is not the status of a stayd\n";
      return 1;
    }
    if (terminal.live || progress.complete() || now_ms - shown_ms >= kLinesMs) {
      show(progress, line.json, terminal);
      shown_ms = now_ms;
    }
    if (progress.complete()) return 0;
    ::poll(nullptr, 0, kLookMs);
  }
}

}  // namespace stayd
