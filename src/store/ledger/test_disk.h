// A disk under RocksDB that fails as told. Tests only; the state may be changed from any thread.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

namespace stayd::test {

// large_fail, large_full: of the log only what is larger than kLargeBytes; large_full until the
// ballast is gone, and also the probe by which the ledger asks whether it may write again.
// no_tables: table files find no room, logs do.
enum class Disk { fine, failing, full_unless_ballast_gone, large_fail, large_full, no_tables };

struct DiskState {
  static constexpr std::uint64_t kLargeBytes = 8 << 10;

  std::atomic<Disk> disk = Disk::fine;
  std::atomic<bool> reads_fail = false;  // of files larger than kLargeBytes
  mutable std::atomic<int> failed_reads = 0;
  mutable std::atomic<int> failed_writes = 0;
  std::string ballast;

  rocksdb::IOStatus check(bool large, bool probe, bool table) const {
    using rocksdb::IOStatus;
    const Disk now = disk.load();
    if (now == Disk::no_tables && table) return IOStatus::NoSpace("injected");
    if (now == Disk::failing || (now == Disk::large_fail && large)) {
      return IOStatus::IOError("injected");
    }
    const bool full =
        now == Disk::full_unless_ballast_gone || (now == Disk::large_full && (large || probe));
    return full && std::filesystem::exists(ballast) ? IOStatus::NoSpace("injected")
                                                    : IOStatus::OK();
  }
};

class FaultyFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultyFile(std::unique_ptr<rocksdb::FSWritableFile> file, const std::string& name,
             const DiskState& state)
      : FSWritableFileOwnerWrapper(std::move(file)),
        log_(name.ends_with(".log")),
        probe_(name.ends_with("/probe")),
        table_(name.ends_with(".sst")),
        state_(state) {}
  using FSWritableFileOwnerWrapper::Append;
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    const bool large = log_ && data.size() > DiskState::kLargeBytes;
    const rocksdb::IOStatus status = state_.check(large, probe_, table_);
    if (status.ok()) return FSWritableFileOwnerWrapper::Append(data, options, debug);
    ++state_.failed_writes;
    return status;
  }

 private:
  const bool log_, probe_, table_;
  const DiskState& state_;
};

class FaultyTable : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  FaultyTable(std::unique_ptr<rocksdb::FSRandomAccessFile> file, const DiskState& state)
      : FSRandomAccessFileOwnerWrapper(std::move(file)), state_(state) {}
  rocksdb::IOStatus Read(std::uint64_t offset, std::size_t size, const rocksdb::IOOptions& options,
                         rocksdb::Slice* result, char* scratch,
                         rocksdb::IODebugContext* debug) const override {
    if (state_.reads_fail) {
      ++state_.failed_reads;
      return rocksdb::IOStatus::IOError("injected");
    }
    return FSRandomAccessFileOwnerWrapper::Read(offset, size, options, result, scratch, debug);
  }

 private:
  const DiskState& state_;
};

class FaultyDisk : public rocksdb::FileSystemWrapper {
 public:
  explicit FaultyDisk(const DiskState& state)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), state_(state) {}
  const char* Name() const override { return "FaultyDisk"; }
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override {
    const auto status = FileSystemWrapper::NewWritableFile(name, options, result, debug);
    if (status.ok()) *result = std::make_unique<FaultyFile>(std::move(*result), name, state_);
    return status;
  }
  rocksdb::IOStatus NewRandomAccessFile(const std::string& name,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                        rocksdb::IODebugContext* debug) override {
    const auto status = FileSystemWrapper::NewRandomAccessFile(name, options, result, debug);
    std::error_code ignored;
    if (status.ok() && std::filesystem::file_size(name, ignored) > DiskState::kLargeBytes) {
      *result = std::make_unique<FaultyTable>(std::move(*result), state_);
    }
    return status;
  }

 private:
  const DiskState& state_;
};

// Borrows `state`.
inline std::unique_ptr<rocksdb::Env> faulty_env(const DiskState& state) {
  return rocksdb::NewCompositeEnv(std::make_shared<FaultyDisk>(state));
}

}  // namespace stayd::test
