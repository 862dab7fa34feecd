// The shared backup's data in memory, for tests and the simulator: what several MemoryBackups, one
// for each stayd, share. Linearizable, since it does one thing after the other; deterministic,
// without clock, thread or I/O. Its owner breaks it by the members below.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "store/backup/backup.h"

namespace stayd {

class MemoryDatabase {
 public:
  // What can be wrong, for everybody.
  bool down = false;       // refuses, at once
  bool frozen = false;     // answers nothing; what has arrived meanwhile is done afterwards
  bool read_only = false;  // refuses writes
  std::int64_t clock_offset_ms = 0;

  // Together or none; `writes` pass check_writes().
  std::vector<BackupWritten> write(const std::vector<BackupWrite>& writes);
  BackupRow read(const FullKey& key) const;
  FeedPage feed(const FeedCursor& after, std::size_t limit) const;

  // Removes tombstones past their time and rows expired for longer than an hour; how many.
  std::size_t purge(std::int64_t wall_ms);

  // As it is now, for restore().
  struct Copy {
    std::map<FullKey, BackupRow> rows;
    std::uint64_t last_change = 0;
  };
  Copy copy() const { return {rows_, last_change_}; }
  // Goes back to an older copy: another epoch, which counts on from the copy's changes.
  void restore(Copy copy);

  const std::string& epoch() const { return epoch_; }
  std::uint64_t last_change() const { return last_change_; }
  const std::map<FullKey, BackupRow>& rows() const { return rows_; }

 private:
  void put(BackupRow row);
  void erase(const FullKey& key);

  std::map<FullKey, BackupRow> rows_;
  std::map<std::uint64_t, FullKey> by_change_;  // of the rows as they are
  std::uint64_t last_change_ = 0;
  int restores_ = 0;
  std::string epoch_ = "memory-0";
};

}  // namespace stayd
