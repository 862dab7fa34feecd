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

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

namespace stayd {

// Outlives the database it serves.
struct FilterContext {
  std::function<std::int64_t()> wall_ms;
  std::int64_t expiry_slack_ms = 0;
  // Null while the database is being opened or closed: the element filter then keeps everything.
  std::atomic<rocksdb::DB*> db = nullptr;
  rocksdb::ColumnFamilyHandle* meta = nullptr;  // set before `db`
};

std::shared_ptr<rocksdb::CompactionFilterFactory> make_row_filter(FilterContext& context);
std::shared_ptr<rocksdb::CompactionFilterFactory> make_tomb_filter(FilterContext& context);
std::shared_ptr<rocksdb::CompactionFilterFactory> make_element_filter(FilterContext& context);

}  // namespace stayd
