// RocksDB as the ledger configures it: four column families, small memory, and the way back after a
// disk error. docs/formats/ledger.md describes what is in them.
//
//   default   "info", "keys", "fact/<name>"  meta      one record per key
//   elements  collections, by element        tombs     index of tombstones
//
// One thread writes; RocksDB's own threads compact. Owned by the ledger's worker or by a reader.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/write_buffer_manager.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "store/ledger/filters.h"
#include "store/ledger/info.h"
#include "store/ledger/ledger_options.h"
#include "store/value_codec.h"

namespace stayd {

// Says what failed in a sentence; ENOSPC becomes no_space, bad checksums corrupt.
Error to_error(const rocksdb::Status& status, std::string_view doing);

class Database {
 public:
  enum class Mode { write, read_only };

  // `path`: RocksDB's folder. Errors: corrupt (with what to do), io, no_space.
  static Result<std::unique_ptr<Database>> open(const LedgerOptions& options,
                                                const std::string& path, Mode mode);
  ~Database();  // close(false)
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // `flush`: writes memory to table files first, so that the next start replays nothing.
  void close(bool flush);
  // The way back after any write error: closes and opens again, replaying the logs into table
  // files. On an error it is still closed. (DB::Resume() cannot undo a failed log write, and needs
  // space to flush when it can act.)
  Result<void> reopen();
  // The same for a full disk, where a table file has no place: what the logs hold stays there and
  // in memory, until reopen(). Not after a sync that failed.
  Result<void> reopen_in_memory();
  bool in_memory() const { return in_memory_; }
  // So reopened, and little more would have RocksDB write a table file: write nothing.
  bool memory_is_full() const;

  // The rows as they are; no element has a generation from `next_generation` on. Goes before
  // close().
  std::shared_ptr<const SyncedRows> rows_now(std::uint64_t next_generation) const;
  // `rows` and everything before them is synced: lets compactions drop the elements of rows that
  // are gone.
  void mark_synced(std::shared_ptr<const SyncedRows> rows);

  // Whether a compaction may have dropped the row since it was read or written.
  bool may_be_gone(const RowMeta& meta) const { return filters_.may_be_gone(meta); }

  // Of memtables, cached blocks, and indexes of open table files. While open.
  std::uint64_t memory_bytes() const;

  bool is_open() const { return db_ != nullptr; }
  rocksdb::DB* db() const { return db_.get(); }
  rocksdb::Env* env() const { return env_; }
  rocksdb::ColumnFamilyHandle* facts() const { return handles_[0]; }
  rocksdb::ColumnFamilyHandle* meta() const { return handles_[1]; }
  rocksdb::ColumnFamilyHandle* elements() const { return handles_[2]; }
  rocksdb::ColumnFamilyHandle* tombs() const { return handles_[3]; }

  // How values are stored; of the thread that owns this.
  ValueCodec& values() const { return *values_; }

  Result<LedgerInfo> read_info() const;
  // As written by write_key_ring(); empty: there is none.
  Result<std::string> read_key_ring() const;
  // Together with the fact, or with its going; and syncs.
  Result<void> write_key_ring(std::string_view bytes, std::string_view fact,
                              const std::optional<std::string>& value);
  std::map<std::string, std::string, std::less<>> read_facts() const;

 private:
  Database(const LedgerOptions& options, std::string path, Mode mode);
  rocksdb::Status open_rocksdb();
  Result<void> open_again(bool in_memory);
  rocksdb::DBOptions db_options() const;
  rocksdb::ColumnFamilyOptions family_options() const;

  const LedgerOptions options_;
  const std::string path_;
  const Mode mode_;
  rocksdb::Env* env_;
  bool reopening_ = false;
  bool in_memory_ = false;
  FilterContext filters_;
  std::shared_ptr<rocksdb::Cache> cache_;
  std::shared_ptr<rocksdb::WriteBufferManager> buffers_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
  std::unique_ptr<rocksdb::DB> db_;
  const std::unique_ptr<ValueCodec> values_ = std::make_unique<ValueCodec>();
};

}  // namespace stayd
