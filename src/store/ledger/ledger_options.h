// How a ledger is opened. Plain values.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"
#include "store/key_ring.h"

namespace rocksdb {
class Env;
}

namespace stayd {

// How values are stored.
struct AtRestOptions {
  MasterKeys keys;      // none: in clear
  std::string setting;  // where the keys come from, for people: "[at_rest] encryption_key_file"
  bool compress = false;
};

struct LedgerOptions {
  std::string path;    // the ledger's folder; created with mode 0700
  bool create = true;  // false: a folder without a ledger is refused

  // Unix milliseconds; required. Called on the loop, the ledger's thread and RocksDB's threads.
  std::function<std::int64_t()> wall_ms;

  AtRestOptions at_rest;

  // Memory: rows not yet in table files (twice 16 MB) and table blocks read.
  std::size_t write_buffer_bytes = std::size_t{16} << 20;
  std::size_t block_cache_bytes = std::size_t{8} << 20;
  int max_open_files = 64;
  // Headers of rows written lately (about 100,000): a change of such a row reads nothing.
  std::size_t header_cache_bytes = std::size_t{12} << 20;

  // Above this only tombstones are taken (I12); 0: as much as the disk holds.
  std::uint64_t max_disk_bytes = 0;
  // Freed at ENOSPC so that tombstones still fit; 0: none.
  std::uint64_t ballast_bytes = std::uint64_t{8} << 20;

  // A power cut loses at most this much of what was `written` only.
  int sync_interval_ms = 100;
  // Expired rows leave the disk at a compaction this long after their expiry (an expiry may still
  // be lengthened by a touch that travels late), at the latest after `periodic_compaction_s`.
  std::int64_t expiry_slack_ms = 3'600'000;
  std::uint64_t periodic_compaction_s = 6 * 3600;

  // Tests inject disk errors here; null: the system's. Outlives the ledger.
  rocksdb::Env* env = nullptr;
  // And make the log's syncs slow or failing here: called before each, on a thread of its own.
  std::function<Result<void>()> before_sync;
};

}  // namespace stayd
