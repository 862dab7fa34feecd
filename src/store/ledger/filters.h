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

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "session/record.h"

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

// True when a compaction at `wall_ms` may drop the row.
bool row_over(const RowMeta& meta, std::int64_t wall_ms, std::int64_t expiry_slack_ms);

// Outlives the database it serves.
struct FilterContext {
  std::function<std::int64_t()> wall_ms;
  std::int64_t expiry_slack_ms = 0;

  // Now, remembered before anything is dropped.
  std::int64_t judge_ms() {
    const std::int64_t now_ms = wall_ms();
    std::int64_t latest_ms = latest_judged_ms.load();
    while (latest_ms < now_ms && !latest_judged_ms.compare_exchange_weak(latest_ms, now_ms)) {
    }
    return now_ms;
  }
  // Whether a compaction so far may have dropped the row.
  bool may_be_gone(const RowMeta& meta) const {
    return row_over(meta, latest_judged_ms.load(), expiry_slack_ms);
  }

  void set_synced(std::shared_ptr<const SyncedRows> rows) {
    const std::lock_guard lock(mutex);
    synced_rows = std::move(rows);
  }
  // Null while nothing is known: the element filter then keeps everything.
  std::shared_ptr<const SyncedRows> synced() {
    const std::lock_guard lock(mutex);
    return synced_rows;
  }

  std::atomic<std::int64_t> latest_judged_ms = 0;
  std::mutex mutex;
  std::shared_ptr<const SyncedRows> synced_rows;
};

std::shared_ptr<rocksdb::CompactionFilterFactory> make_row_filter(FilterContext& context);
std::shared_ptr<rocksdb::CompactionFilterFactory> make_tomb_filter(FilterContext& context);
std::shared_ptr<rocksdb::CompactionFilterFactory> make_element_filter(FilterContext& context);

}  // namespace stayd
