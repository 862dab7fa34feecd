#include "store/ledger/log_syncer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace stayd {
namespace {

Result<void> sync_file(const std::string& path, bool metadata) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return {};
  const bool synced = fd >= 0 && (metadata ? ::fsync(fd) : ::fdatasync(fd)) == 0;
  const int failure = errno;
  if (fd >= 0) ::close(fd);
  if (synced) return {};
  return make_error(failure == ENOSPC ? Errc::no_space : Errc::io,
                    fmt::format("ledger: cannot sync {}: {}", path, std::strerror(failure)));
}

}  // namespace

Result<void> sync_logs(const std::string& path, LogSizes& synced) {
  const LogSizes before = std::exchange(synced, {});
  LogSizes sizes;
  bool is_new = before.empty();
  std::error_code code;
  for (std::filesystem::directory_iterator it(path, code), end; !code && it != end;
       it.increment(code)) {
    if (it->path().extension() != ".log") continue;
    // Its size before the sync: what is appended meanwhile may have been missed.
    std::error_code unknown;
    const std::uintmax_t size = it->file_size(unknown);
    const std::string name = it->path().filename();
    const auto known = before.find(name);
    is_new |= known == before.end();
    if (unknown || known == before.end() || known->second != size) {
      const Result<void> result = sync_file(it->path(), false);
      if (!result) return result;
    }
    if (!unknown) sizes[name] = size;
  }
  if (code && code != std::errc::no_such_file_or_directory) {
    return make_error(Errc::io, fmt::format("ledger: cannot list {}: {}", path, code.message()));
  }
  if (is_new) {
    const Result<void> result = sync_file(path, true);
    if (!result) return result;
  }
  synced = std::move(sizes);
  return {};
}

LogSyncer::LogSyncer(std::string path, std::function<Result<void>()> before,
                     std::function<void()> on_end)
    : path_(std::move(path)), before_(std::move(before)), on_end_(std::move(on_end)) {
  thread_ = std::thread([this] { run(); });
}

LogSyncer::~LogSyncer() {
  if (started_) wait();
  {
    const std::lock_guard lock(mutex_);
    state_ = State::stopping;
  }
  changed_.notify_all();
  thread_.join();
}

void LogSyncer::start() {
  STAYD_ASSERT(!started_);
  started_ = true;
  {
    const std::lock_guard lock(mutex_);
    state_ = State::wanted;
  }
  changed_.notify_all();
}

std::optional<Result<void>> LogSyncer::take() {
  if (!started_) return std::nullopt;
  const std::lock_guard lock(mutex_);
  if (state_ != State::ended) return std::nullopt;
  state_ = State::idle;
  started_ = false;
  return std::exchange(result_, Result<void>());
}

Result<void> LogSyncer::wait() {
  STAYD_ASSERT(started_);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return state_ == State::ended; });
  state_ = State::idle;
  started_ = false;
  return std::exchange(result_, Result<void>());
}

void LogSyncer::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return state_ == State::wanted || state_ == State::stopping; });
    if (state_ == State::stopping) return;
    lock.unlock();
    Result<void> result = before_ ? before_() : Result<void>();
    if (result) result = sync_logs(path_, synced_);
    lock.lock();
    result_ = std::move(result);
    state_ = State::ended;
    changed_.notify_all();
    if (!on_end_) continue;
    lock.unlock();
    on_end_();
    lock.lock();
  }
}

}  // namespace stayd
