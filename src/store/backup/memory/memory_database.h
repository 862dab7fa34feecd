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
  std::size_t max_bytes = kMaxBackupBytes;  // of the values of one operation
  std::int64_t clock_offset_ms = 0;

  // `wall_ms` is the time, and with `clock_offset_ms` what the backup takes for it. `batch` passes
  // check_batch().
  std::vector<BackupWritten> write(const BackupBatch& batch, std::int64_t wall_ms);
  BackupRow read(const FullKey& key) const;
  FeedPage feed(const FeedCursor& after, std::size_t limit, std::int64_t wall_ms) const;

  // The row's value does not decode any more, until it is replaced.
  void damage(const FullKey& key);

  // Removes tombstones past their time and rows expired for longer than an hour; how many. Hosts
  // that were not seen for a week, too.
  std::size_t purge(std::int64_t wall_ms);

  // As it is now, for restore().
  struct Copy {
    std::map<FullKey, BackupRow> rows;
    std::uint64_t last_change = 0;
    std::map<std::uint64_t, BackupHost> hosts;
  };
  Copy copy() const { return {rows_, last_change_, hosts_}; }
  // Goes back to an older copy: another epoch, which counts on from the copy's changes.
  void restore(Copy copy);
  // A dump is loaded in place, table by table: the host table, as it was in `then`, or all the
  // rest.
  void load_hosts(const MemoryDatabase& then) { hosts_ = then.hosts_; }
  void load_rows(const MemoryDatabase& then);

  const std::string& epoch() const { return epoch_; }
  std::uint64_t last_change() const { return last_change_; }
  const std::map<FullKey, BackupRow>& rows() const { return rows_; }
  const std::map<std::uint64_t, BackupHost>& hosts() const { return hosts_; }  // by instance

 private:
  void put(BackupRow row);
  void put(BackupHost host, std::int64_t wall_ms);
  void erase(const FullKey& key);

  std::map<FullKey, BackupRow> rows_;
  std::map<std::uint64_t, FullKey> by_change_;  // of the rows as they are
  std::uint64_t last_change_ = 0;
  std::map<std::uint64_t, BackupHost> hosts_;
  int restores_ = 0;
  std::string epoch_ = "memory-0";
};

}  // namespace stayd
