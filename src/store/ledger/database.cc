#include "store/ledger/database.h"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>

#include <array>
#include <vector>

#include "store/ledger/log_syncer.h"

namespace stayd {
namespace {

using rocksdb::Status;

constexpr std::array<const char*, 3> kFamilies = {"meta", "elements", "tombs"};
constexpr std::size_t kLogFileBytes = std::size_t{1} << 20;
constexpr std::uint64_t kMaxWalBytes = std::uint64_t{64} << 20;
constexpr std::uint64_t kNoWalLimit = std::uint64_t{1} << 40;  // above it RocksDB writes tables
constexpr int kLevel0Files = 6;
// While the disk is full, in write buffers: two may be in the logs already, what the ballast's logs
// hold comes to one. Half a buffer less than where RocksDB would write a table file.
constexpr std::size_t kInMemory = 4;
constexpr double kInMemoryLimit = 3.5;
constexpr std::uint64_t kSmoothSyncBytes = std::uint64_t{512} << 10;

// Readers beside a running server must not touch its LOG.
class SilentLogger : public rocksdb::Logger {
 public:
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

// Our own recovery is the only one: RocksDB's runs at a pace of its own on a thread of its own.
class NoAutoRecovery : public rocksdb::EventListener {
 public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, Status, bool* auto_recovery) override {
    *auto_recovery = false;
  }
};

}  // namespace

Error to_error(const Status& status, std::string_view doing) {
  Errc code = Errc::io;
  if (status.IsNoSpace()) code = Errc::no_space;
  if (status.IsCorruption()) code = Errc::corrupt;
  return make_error(code, fmt::format("ledger: {}: {}", doing, status.ToString()));
}

Database::Database(const LedgerOptions& options, std::string path, Mode mode)
    : options_(options),
      path_(std::move(path)),
      mode_(mode),
      env_(options.env != nullptr ? options.env : rocksdb::Env::Default()),
      cache_(rocksdb::NewLRUCache(options.block_cache_bytes, 2)),
      buffers_(std::make_shared<rocksdb::WriteBufferManager>(2 * options.write_buffer_bytes)) {
  filters_.wall_ms = options.wall_ms;
  filters_.expiry_slack_ms = options.expiry_slack_ms;
}

Database::~Database() {
  close(false);
}

rocksdb::DBOptions Database::db_options() const {
  rocksdb::DBOptions out;
  out.env = env_;
  out.create_if_missing = true;
  out.create_missing_column_families = true;
  out.paranoid_checks = true;
  out.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // A log whose data the page cache alone may hold is not trusted after an error: flush it. A full
  // disk is no such error, and the logs are synced before they are opened.
  out.avoid_flush_during_recovery = !reopening_ || in_memory_;
  out.write_buffer_manager = buffers_;
  out.allow_concurrent_memtable_write = false;  // one writer
  out.enable_write_thread_adaptive_yield = false;
  out.max_open_files = options_.max_open_files;
  out.max_file_opening_threads = 1;
  out.max_background_jobs = 2;
  out.max_total_wal_size = in_memory_ ? kNoWalLimit : kMaxWalBytes;
  out.wal_bytes_per_sync = kSmoothSyncBytes;
  out.bytes_per_sync = kSmoothSyncBytes;
  out.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  out.max_log_file_size = kLogFileBytes;
  out.keep_log_file_num = 2;
  out.stats_dump_period_sec = 0;
  out.stats_persist_period_sec = 0;
  out.max_manifest_file_size = 4 * kLogFileBytes;
  out.max_bgerror_resume_count = 0;
  out.listeners.push_back(std::make_shared<NoAutoRecovery>());
  if (mode_ == Mode::read_only) {
    out.max_open_files = -1;  // files that the server deletes stay readable
    out.info_log = std::make_shared<SilentLogger>();
  }
  return out;
}

rocksdb::ColumnFamilyOptions Database::family_options() const {
  rocksdb::ColumnFamilyOptions out;
  out.write_buffer_size = (in_memory_ ? kInMemory : 1) * options_.write_buffer_bytes;
  out.max_write_buffer_number = 2;
  out.target_file_size_base = options_.write_buffer_bytes;
  out.level0_file_num_compaction_trigger = kLevel0Files;
  out.max_bytes_for_level_base = (kLevel0Files + 2) * options_.write_buffer_bytes;
  out.level_compaction_dynamic_level_bytes = true;
  out.compression = rocksdb::kNoCompression;
  for (const auto type : rocksdb::GetSupportedCompressions()) {
    if (type == rocksdb::kLZ4Compression) out.compression = type;
  }
  // Level 0 is rewritten soon: not worth compressing.
  out.compression_per_level = {rocksdb::kNoCompression, out.compression};
  // No memtable_insert_with_hint_prefix_extractor: with DeleteRange it corrupts memory (RocksDB
  // issue 5118).
  // A new key's row is looked up first, mostly in memory and always in vain.
  out.memtable_prefix_bloom_size_ratio = 0.02;
  out.memtable_whole_key_filtering = true;
  out.periodic_compaction_seconds = options_.periodic_compaction_s;

  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache_;
  // Index and filter of an open file, about 0.25 MB, are held beside the cache; max_open_files
  // bounds them (I12).
  table.cache_index_and_filter_blocks = false;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.format_version = 5;
  out.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return out;
}

Status Database::open_rocksdb() {
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  families.emplace_back(rocksdb::kDefaultColumnFamilyName, family_options());
  for (const char* name : kFamilies) families.emplace_back(name, family_options());
  if (mode_ == Mode::write) {
    families[1].options.compaction_filter_factory = make_row_filter(filters_);
    families[2].options.compaction_filter_factory = make_element_filter(filters_);
    families[3].options.compaction_filter_factory = make_tomb_filter(filters_);
  }
  rocksdb::DB* db = nullptr;
  // After a kill the tail of the last log may be in the page cache only, and RocksDB, which replays
  // it without flushing, never syncs that file again: a later power cut would lose it, and with it
  // every newer log behind the gap.
  if (mode_ == Mode::write) {
    LogSizes nothing_known;
    const Result<void> synced = sync_logs(path_, nothing_known);
    if (!synced) return Status::IOError(synced.error().message);
  }
  const Status status =
      mode_ == Mode::write
          ? rocksdb::DB::Open(db_options(), path_, families, &handles_, &db)
          : rocksdb::DB::OpenForReadOnly(db_options(), path_, families, &handles_, &db);
  if (!status.ok()) return status;
  db_.reset(db);
  return status;
}

Result<std::unique_ptr<Database>> Database::open(const LedgerOptions& options,
                                                 const std::string& path, Mode mode) {
  std::unique_ptr<Database> out(new Database(options, path, mode));
  const Status status = out->open_rocksdb();
  if (status.ok()) return out;
  // The logs may hold more than a write buffer takes, and a full disk no table file.
  if (status.IsNoSpace() && mode == Mode::write && out->reopen_in_memory()) return out;
  Error error = to_error(status, "cannot open " + path);
  // What RocksDB finds missing or unreadable in files of its own is damage, whatever it calls it.
  if (status.IsNotFound() || status.IsPathNotFound() || status.IsInvalidArgument()) {
    error.code = Errc::corrupt;
  }
  if (error.code == Errc::corrupt) {
    error.message +=
        " - nothing was changed; restore the folder from a copy, or move it away and start with an "
        "empty one (sessions then come from Redis alone)";
  }
  return error;
}

std::uint64_t Database::memory_bytes() const {
  using Properties = rocksdb::DB::Properties;
  std::uint64_t total = cache_->GetUsage();
  for (const auto& property :
       {Properties::kSizeAllMemTables, Properties::kEstimateTableReadersMem}) {
    std::uint64_t bytes = 0;
    if (db_->GetAggregatedIntProperty(property, &bytes)) total += bytes;
  }
  return total;
}

std::shared_ptr<const SyncedRows> Database::rows_now(std::uint64_t next_generation) const {
  auto rows = std::make_shared<SyncedRows>();
  rows->db = db();
  rows->meta = meta();
  rows->snapshot = std::make_unique<rocksdb::ManagedSnapshot>(db());
  rows->next_generation = next_generation;
  return rows;
}

void Database::mark_synced(std::shared_ptr<const SyncedRows> rows) {
  filters_.set_synced(std::move(rows));
}

void Database::close(bool flush) {
  if (db_ == nullptr) return;
  if (flush && mode_ == Mode::write) {
    rocksdb::FlushOptions options;
    options.wait = true;
    db_->Flush(options, handles_).PermitUncheckedError();
  }
  rocksdb::CancelAllBackgroundWork(db_.get(), true);
  filters_.set_synced(nullptr);  // its snapshot goes before the database
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  handles_.clear();
  db_->Close().PermitUncheckedError();
  db_.reset();
}

Result<void> Database::open_again(bool in_memory) {
  close(false);
  reopening_ = true;
  in_memory_ = in_memory;
  buffers_->SetBufferSize(2 * (in_memory ? kInMemory : 1) * options_.write_buffer_bytes);
  const Status status = open_rocksdb();
  if (!status.ok()) return to_error(status, "cannot open " + path_ + " again");
  return {};
}

Result<void> Database::reopen() {
  return open_again(false);
}

Result<void> Database::reopen_in_memory() {
  return open_again(true);
}

bool Database::memory_is_full() const {
  return in_memory_ && static_cast<double>(buffers_->memory_usage()) >=
                           kInMemoryLimit * static_cast<double>(options_.write_buffer_bytes);
}

Result<LedgerInfo> Database::read_info() const {
  rocksdb::PinnableSlice value;
  const Status status = db_->Get(rocksdb::ReadOptions(), facts(),
                                 rocksdb::Slice(kInfoKey.data(), kInfoKey.size()), &value);
  if (status.IsNotFound()) return LedgerInfo{};
  if (!status.ok()) return to_error(status, "cannot read info");
  return decode_info({value.data(), value.size()});
}

Result<std::string> Database::read_key_ring() const {
  std::string value;
  const Status status = db_->Get(rocksdb::ReadOptions(), facts(),
                                 rocksdb::Slice(kKeyRingKey.data(), kKeyRingKey.size()), &value);
  if (!status.ok() && !status.IsNotFound()) return to_error(status, "cannot read the key ring");
  return value;
}

Result<void> Database::write_key_ring(std::string_view bytes, std::string_view fact,
                                      const std::optional<std::string>& value) {
  const std::string fact_key = std::string(kFactPrefix) += fact;
  rocksdb::WriteBatch batch;
  batch
      .Put(facts(), rocksdb::Slice(kKeyRingKey.data(), kKeyRingKey.size()),
           rocksdb::Slice(bytes.data(), bytes.size()))
      .PermitUncheckedError();
  const Status put = value ? batch.Put(facts(), fact_key, *value) : batch.Delete(facts(), fact_key);
  put.PermitUncheckedError();
  rocksdb::WriteOptions options;
  options.sync = true;
  const Status status = db_->Write(options, &batch);
  if (!status.ok()) return to_error(status, "cannot write the key ring");
  return {};
}

std::map<std::string, std::string, std::less<>> Database::read_facts() const {
  std::map<std::string, std::string, std::less<>> out;
  const rocksdb::Slice prefix(kFactPrefix.data(), kFactPrefix.size());
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(rocksdb::ReadOptions(), facts()));
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    out[it->key().ToString().substr(prefix.size())] = it->value().ToString();
  }
  return out;
}

}  // namespace stayd
