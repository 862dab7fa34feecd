#include "store/ledger/in_flight_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <vector>

namespace stayd {

namespace {

// Every byte, before it is mapped: an error here is a value, behind a mapping it is a signal.
int read_whole(int fd, std::size_t bytes) {
  std::vector<char> buffer(std::size_t{64} << 10);
  for (std::size_t at = 0; at < bytes;) {
    const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(at));
    if (got <= 0) return got == 0 ? EIO : errno;
    at += static_cast<std::size_t>(got);
  }
  return 0;
}

// 0, or an errno. The file has `bytes` afterwards, and every block of them.
int prepare(int fd, std::size_t bytes) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) return errno;
  if (static_cast<std::size_t>(info.st_size) != bytes && ::ftruncate(fd, 0) != 0) return errno;
  if (const int failed = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes)); failed != 0) {
    return failed;
  }
  return read_whole(fd, bytes);
}

}  // namespace

InFlightFile::InFlightFile(const std::string& path, std::size_t bytes) {
  if (map(path, bytes)) return;
  problem_ = path + ": " + std::generic_category().message(errno);
  private_.resize(bytes);
  memory_ = private_;
}

InFlightFile::~InFlightFile() {
  if (private_.empty()) ::munmap(memory_.data(), memory_.size());
}

// On failure errno tells why.
bool InFlightFile::map(const std::string& path, std::size_t bytes) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  int failed = prepare(fd, bytes);
  void* at = MAP_FAILED;
  if (failed == 0) {
    at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) failed = errno;
  }
  ::close(fd);
  errno = failed;
  if (failed != 0) return false;
  memory_ = {static_cast<std::byte*>(at), bytes};
  return true;
}

}  // namespace stayd
