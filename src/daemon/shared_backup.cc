#include "daemon/shared_backup.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/real_time.h"
#include "daemon/credentials.h"
#include "daemon/password_command.h"
#include "store/open_backup.h"

namespace stayd {

namespace {

// Another stayd writes its entry four times a second.
constexpr std::int64_t kAtWorkMs = 10'000;

std::string host_name() {
  std::array<char, kMaxBackupHostNameBytes + 1> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

}  // namespace

Result<std::string> backup_password(const BackupConfig& config, int cancel_fd) {
  const auto named = [](std::string_view key, Result<std::string> result) {
    if (result) return result;
    return Result<std::string>(make_error(
        result.error().code, fmt::format("[backup] {}: {}", key, result.error().message)));
  };
  if (!config.password_file.empty()) {
    return named("password_file", read_password_file(config.password_file));
  }
  if (!config.password_command.empty()) {
    PasswordCommandLimits limits;
    limits.cancel_fd = cancel_fd;
    return named("password_command", run_password_command(config.password_command, limits));
  }
  return config.password;
}

SharedBackup::SharedBackup(const BackupConfig& config, MasterKeys keys, Parts parts)
    : place_(config.place), parts_(parts), config_(config), keys_(std::move(keys)) {
  BackupOptions options;
  options.url = config.url;
  options.password = [this] {
    BackupConfig now;
    {
      const std::lock_guard lock(mutex_);
      now = config_;
    }
    return backup_password(now, cancel_.fd());
  };
  options.master_keys = [this] {
    const std::lock_guard lock(mutex_);
    return keys_;
  };
  options.now = real_now;
  options.seed = parts_.random.next();
  options.connections = static_cast<int>(config.connections);
  options.connect_timeout_us = config.connect_timeout.count() * 1000;
  waker_ = parts_.loop.make_waker([this] { backup_->deliver(); });
  backup_ = open_backup(std::move(options), *waker_);
  FleetOptions fleet;
  fleet.origin = next_origin(parts_.ledger, parts_.random);
  fleet.name = host_name();
  fleet.deadline_ms = config.deadline.count();
  fleet.told_after_ms = config.confirm_wait.count();
  store_ = std::make_unique<FleetStore>(parts_.ledger, *backup_, fleet, clock_, parts_.counters);
}

SharedBackup::~SharedBackup() {
  cancel_.set();  // a password command that runs
}

void SharedBackup::start(Now now) {
  store_->start(now);
}

void SharedBackup::take_up_password(const BackupConfig& fresh) {
  const std::lock_guard lock(mutex_);
  config_ = fresh;
}

void SharedBackup::take_up_keys(MasterKeys keys) {
  const std::lock_guard lock(mutex_);
  keys_ = std::move(keys);
}

bool SharedBackup::may_end() const {
  const FleetStatus status = store_->status();
  return !status.backup.writable || status.unshipped == status.put_off;
}

// --- what is told

BackupFacts SharedBackup::facts(Now now) const {
  BackupFacts out;
  out.place = place_;
  out.fleet = store_->status();
  // What changes without an event; the store knows better whether it answers.
  BackupStatus& status = out.fleet.backup;
  const bool up = status.up, writable = status.writable;
  status = backup_->status();
  status.up = up;
  status.writable = writable;
  if (!up && status.error.empty()) status.error = "backup: it does not answer";
  if (out.fleet.oldest_unshipped != 0) {
    out.oldest_unshipped_ms =
        std::max<std::int64_t>(0, now.wall_ms - hlc_wall_ms(out.fleet.oldest_unshipped));
  }
  if (out.fleet.feed_read_us != 0) out.feed_age_ms = (now.mono_us - out.fleet.feed_read_us) / 1000;
  for (const FleetHostSeen& host : store_->hosts()) {
    if (host.entry.instance == host_of(store_->origin())) continue;
    const std::int64_t ago_ms = host.told_ago_ms + (now.mono_us - host.read_us) / 1000;
    if (ago_ms > kAtWorkMs) continue;
    out.others.push_back(host.entry.name.empty() ? origin_text(host.entry.instance)
                                                 : host.entry.name);
  }
  return out;
}

// Why it is out is told at once.
void SharedBackup::on_tick(Now now) {
  store_->on_tick(now);
  const BackupStatus status = backup_->status();
  if (!status.up && !status.error.empty()) tell_of_state(status);
}

void SharedBackup::each_second(Now now) {
  const BackupFacts facts = this->facts(now);
  tell_of_state(facts.fleet.backup);
  tell_of_others(facts);
  const std::uint64_t restores = parts_.counters.backup_restores;
  if (std::exchange(told_restores_, restores) == restores) return;
  parts_.log.warning(
      "backup_restored",
      fmt::format("the backup {} is another one than before, or was restored from an earlier time: "
                  "every row of the ledger is written to it again where it has none as new; what "
                  "only other hosts, or the backup, had had since then is missing",
                  place_));
}

void SharedBackup::tell_of_state(const BackupStatus& status) {
  const std::string state = !status.up         ? "out: " + status.error
                            : !status.writable ? "read-only"
                                               : "";
  if (std::exchange(told_, state) == state) return;
  if (!status.up) {
    parts_.log.warning("backup_out",
                       fmt::format("the backup {} is out ({}): Redis and the ledger answer on, "
                                   "this host's loss would lose what is not there",
                                   place_, status.error));
  } else if (!status.writable) {
    parts_.log.warning("backup_read_only",
                       fmt::format("the backup {} takes no writes: what changes waits in the "
                                   "ledger, this host's loss would lose it",
                                   place_));
  } else {
    parts_.log.info("backup_up", fmt::format("the backup {} takes writes", place_));
  }
}

void SharedBackup::tell_of_others(const BackupFacts& facts) {
  if (std::exchange(told_others_, !facts.others.empty()) || facts.others.empty()) return;
  parts_.log.warning(
      "backup_has_others",
      fmt::format("other stayds use the backup {} ({}): several on one backup are experimental, "
                  "sessions may be wrong after a failure of Redis",
                  place_, fmt::join(facts.others, ", ")));
}

}  // namespace stayd
