// Compaction filters: how rows that ended, and elements nobody refers to, leave the disk.
//
//   meta      a live row expired for longer than the slack; a tombstone past its tomb_until
//   tombs     the same for the index of tombstones
//   elements  those whose row in `meta` is gone or has another generation
//
// Called on RocksDB's own threads.
#pragma once

#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>
#include <rocksdb/snapshot.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace stayd {

// The rows at a moment that a power cut cannot undo. Elements are judged by it alone: judged by
// later rows, an old generation might be dropped and its row come back (I13).
struct SyncedRows {
  rocksdb::DB* db = nullptr;
  rocksdb::ColumnFamilyHandle* meta = nullptr;
  std::unique_ptr<rocksdb::ManagedSnapshot> snapshot;
  // Generations from here on were given out later: their elements stay.
  std::uint64_t next_generation = 0;
};

// Outlives the database it serves.
struct FilterContext {
  std::function<std::int64_t()> wall_ms;
  std::int64_t expiry_slack_ms = 0;

  void set_synced(std::shared_ptr<const SyncedRows> rows) {
    const std::lock_guard lock(mutex);
    synced_rows = std::move(rows);
  }
  // Null while nothing is known: the element filter then keeps everything.
  std::shared_ptr<const SyncedRows> synced() {
    const std::lock_guard lock(mutex);
    return synced_rows;
  }

  std::mutex mutex;
  std::shared_ptr<const SyncedRows> synced_rows;
};

std::shared_ptr<rocksdb::CompactionFilterFactory> make_row_filter(FilterContext& context);
std::shared_ptr<rocksdb::CompactionFilterFactory> make_tomb_filter(FilterContext& context);
std::shared_ptr<rocksdb::CompactionFilterFactory> make_element_filter(FilterContext& context);

}  // namespace stayd
