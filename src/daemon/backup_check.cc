#include "daemon/backup_check.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/real_time.h"
#include "daemon/at_rest_keys.h"
#include "daemon/shared_backup.h"
#include "store/open_backup.h"

namespace stayd {

namespace {

using Level = Finding::Level;
constexpr std::int64_t kClockMs = 1'000;  // so much more, and it is told

Finding finding(Level level, std::string text) {
  return {level, "backup", std::move(text)};
}

}  // namespace

std::vector<Finding> check_backup(const Config& config) {
  if (config.backup.url.empty()) return {};
  const std::string& place = config.backup.place;
  const auto at_rest = AtRestKeys::read(config.at_rest);
  if (!at_rest) return {finding(Level::problem, at_rest.error().message)};
  BackupOptions options;
  options.url = config.backup.url;
  options.password = [&config] { return backup_password(config.backup, -1); };
  options.master_keys = [&at_rest] { return at_rest->keys; };
  options.now = real_now;
  options.connect_timeout_us = config.backup.connect_timeout.count() * 1000;
  const std::unique_ptr<BackupAdmin> admin = open_backup_admin(options);
  auto problem = [&place](const Error& error) {
    return finding(Level::problem, fmt::format("{}: {}", place, error.message));
  };
  if (const auto connected = admin->connect(); !connected) return {problem(connected.error())};
  const std::int64_t before_ms = real_now().wall_ms;
  const auto state = admin->state();
  if (!state) return {problem(state.error())};
  const std::int64_t offset_ms = state->clock_ms - (before_ms + real_now().wall_ms) / 2;
  std::vector<Finding> out;
  out.push_back(state->writable
                    ? finding(Level::good, place + " takes writes")
                    : finding(Level::problem, place + " takes no writes: what changes would wait"));
  if (std::abs(offset_ms) > kClockMs) {
    out.push_back(finding(Level::advice,
                          fmt::format("{}: its clock is {} ms {} of this host's", place,
                                      std::abs(offset_ms), offset_ms > 0 ? "ahead" : "behind")));
  }
  return out;
}

}  // namespace stayd
