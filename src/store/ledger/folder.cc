#include "store/ledger/folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

namespace stayd {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormatPrefix = "stayd-ledger ";
constexpr int kPlainFormat = 1;
constexpr int kPackedFormat = 2;

std::string system_text(int code) {
  return std::generic_category().message(code);
}

// So that a rename in it is on disk.
bool sync_folder(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool ok = ::fsync(fd) == 0;
  ::close(fd);
  return ok;
}

// Written aside and renamed, so that it is there whole or not at all.
Result<void> write_format(const std::string& path, int format) {
  const std::string aside = path + "/FORMAT.new";
  const std::string text = fmt::format("{}{}\n", kFormatPrefix, format);
  const int fd = ::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool ok = fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
            ::fsync(fd) == 0;
  int code = errno;
  if (fd >= 0) ::close(fd);
  if (ok) {
    ok = ::rename(aside.c_str(), (path + "/FORMAT").c_str()) == 0 && sync_folder(path);
    code = errno;
  }
  if (ok) return {};
  return make_error(code == ENOSPC ? Errc::no_space : Errc::io,
                    fmt::format("ledger: cannot write {}/FORMAT: {}", path, system_text(code)));
}

// Of the folder; an error: none that this stayd reads.
Result<int> check_format(const std::string& path) {
  std::ifstream file(path + "/FORMAT");
  std::string line;
  std::getline(file, line);
  int version = 0;
  const std::string_view text = line;
  if (text.substr(0, kFormatPrefix.size()) == kFormatPrefix) {
    const std::string_view digits = text.substr(kFormatPrefix.size());
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), version);
    if (parsed.ptr != digits.data() + digits.size()) version = 0;
  }
  if (version > kLedgerFormat) {
    return make_error(Errc::newer_format,
                      fmt::format("ledger: {} has format {}, this stayd reads up to {}: start the "
                                  "newer stayd, or give another folder",
                                  path, version, kLedgerFormat));
  }
  if (version < 1) {
    return make_error(Errc::corrupt, fmt::format("ledger: {}/FORMAT is damaged: put back the line "
                                                 "\"{}{}\", or move the folder away and start with "
                                                 "an empty one",
                                                 path, kFormatPrefix, kPlainFormat));
  }
  return version;
}

// Rows without RocksDB's CURRENT: opening would start an empty database over them.
Result<void> check_database(const std::string& path) {
  const fs::path db = path + "/db";
  std::error_code ignored;
  if (fs::exists(db / "CURRENT", ignored)) return {};
  for (const auto& entry : fs::directory_iterator(db, ignored)) {
    const auto extension = entry.path().extension();
    if (extension == ".sst" || extension == ".log") {
      return make_error(
          Errc::corrupt,
          fmt::format("ledger: {} holds rows but {}/CURRENT is missing: restore the "
                      "folder from a copy, or move it away and start with an empty one",
                      path, db.string()));
    }
  }
  return {};
}

Result<int> take_lock(const std::string& path) {
  const std::string file = path + "/lock";
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return make_error(Errc::io,
                      fmt::format("ledger: cannot open {}: {}", file, system_text(errno)));
  }
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  const int code = errno;
  ::close(fd);
  if (code == EWOULDBLOCK) {
    return make_error(Errc::busy,
                      fmt::format("ledger: {} is in use by another process: stop it, or "
                                  "give another folder",
                                  path));
  }
  return make_error(Errc::io, fmt::format("ledger: cannot lock {}: {}", file, system_text(code)));
}

}  // namespace

Result<void> Folder::check(const std::string& path) {
  std::error_code ignored;
  if (!fs::exists(path + "/FORMAT", ignored)) {
    return make_error(Errc::not_found, fmt::format("ledger: no ledger in {}", path));
  }
  const Result<int> format = check_format(path);
  if (!format) return format.error();
  return check_database(path);
}

Result<Folder> Folder::open(const std::string& path, bool create) {
  std::error_code code;
  if (!fs::exists(path, code)) {
    if (!create) return make_error(Errc::not_found, fmt::format("ledger: no folder {}", path));
    const fs::path parent = fs::path(path).parent_path();
    if (!parent.empty()) fs::create_directories(parent, code);
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
      return make_error(Errc::invalid,
                        fmt::format("ledger: cannot create {}: {}", path, system_text(errno)));
    }
  }
  if (!fs::is_directory(path, code)) {
    return make_error(Errc::invalid, fmt::format("ledger: {} is not a folder", path));
  }
  const bool fresh = !fs::exists(path + "/FORMAT", code);
  if (fresh) {
    for (const auto& entry : fs::directory_iterator(path, code)) {
      const auto name = entry.path().filename();
      if (name == "lock" || name == "FORMAT.new" || name == "lost+found") continue;
      const bool ours = name == "db" || name == "ballast" || name == "inflight";
      return make_error(
          ours ? Errc::corrupt : Errc::invalid,
          fmt::format("ledger: {} holds {} but no FORMAT file: {}", path, name.string(),
                      ours ? "restore it, or move the folder away and start with an "
                             "empty one"
                           : "give an empty folder"));
    }
    if (!create) return make_error(Errc::not_found, fmt::format("ledger: no ledger in {}", path));
  }
  const Result<int> lock = take_lock(path);
  if (!lock) return lock.error();
  Folder folder(path, *lock);
  if (fresh && !fs::exists(path + "/FORMAT", code)) {
    const Result<void> written = write_format(path, kPlainFormat);
    if (!written) return written.error();
  }
  const Result<void> checked = check(path);
  if (!checked) return checked.error();
  return folder;
}

Folder::Folder(Folder&& other) noexcept
    : path_(std::move(other.path_)), lock_fd_(std::exchange(other.lock_fd_, -1)) {}

Folder::~Folder() {
  unlock();
}

void Folder::unlock() {
  if (lock_fd_ >= 0) ::close(std::exchange(lock_fd_, -1));
}

Result<void> Folder::mark_packed() const {
  const Result<int> format = check_format(path_);
  if (!format) return format.error();
  return *format >= kPackedFormat ? Result<void>() : write_format(path_, kPackedFormat);
}

bool Folder::has_ballast() const {
  std::error_code ignored;
  return fs::exists(path_ + "/ballast", ignored);
}

bool Folder::make_ballast(std::uint64_t bytes) {
  const std::string file = path_ + "/ballast";
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  const bool ok = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes)) == 0;
  ::close(fd);
  if (!ok) drop_ballast();
  return ok;
}

void Folder::drop_ballast() {
  ::unlink((path_ + "/ballast").c_str());
}

std::uint64_t Folder::free_bytes() const {
  struct statvfs info{};
  if (::statvfs(path_.c_str(), &info) != 0) return 0;
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

std::uint64_t Folder::used_bytes() const {
  std::uint64_t total = 0;
  std::error_code code;
  fs::recursive_directory_iterator entry(path_, code);
  while (!code && entry != fs::recursive_directory_iterator()) {
    std::error_code gone;  // RocksDB deletes files meanwhile
    const auto size = entry->is_regular_file(gone) ? entry->file_size(gone) : 0;
    if (!gone) total += size;
    entry.increment(code);
  }
  return total;
}

}  // namespace stayd
