// The ledger's folder: who owns it, which format it holds, and the ballast file.
//
//   FORMAT    one line, "stayd-ledger 1", or 2 once values were stored compressed or encrypted
//   lock      flock()ed while a process has the ledger open
//   ballast   preallocated; deleted at ENOSPC so that tombstones still fit
//   inflight  keys of writes on their way to Redis (in_flight.h)
//   db/       RocksDB's own files
//
// Owned by one ledger; after open() used from its thread only.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"

namespace stayd {

inline constexpr int kLedgerFormat = 2;

class Folder {
 public:
  // Creates (`create`) or checks the folder and takes its lock.
  //   busy          another process has it open
  //   newer_format  written by a later stayd
  //   corrupt       it was a ledger, but what makes it one is damaged or gone
  //   not_found     no ledger here and `create` is false
  //   invalid       the folder holds something else, or cannot be used
  static Result<Folder> open(const std::string& path, bool create);

  // Checks only; for readers beside a running server.
  static Result<void> check(const std::string& path);

  Folder(Folder&& other) noexcept;
  Folder& operator=(Folder&&) = delete;
  ~Folder();  // unlock()
  void unlock();

  const std::string& path() const { return path_; }
  std::string database_path() const { return path_ + "/db"; }

  // From now on values may be packed: a stayd that cannot read them refuses the folder.
  Result<void> mark_packed() const;

  bool has_ballast() const;
  // False when it does not fit; nothing is left behind then.
  bool make_ballast(std::uint64_t bytes);
  void drop_ballast();
  std::uint64_t free_bytes() const;
  // Bytes of everything in the folder.
  std::uint64_t used_bytes() const;

 private:
  Folder(std::string path, int lock_fd) : path_(std::move(path)), lock_fd_(lock_fd) {}

  std::string path_;
  int lock_fd_ = -1;
};

}  // namespace stayd
