// The ledger's thread: takes operations in order, gathers mutations into batches, writes, reports.
//
//   loop:  apply/load/... -> gathered -> submit() --inbox--> worker: apply in order, one WriteBatch
//   loop:  deliver() <- wake() <--outbox-- reports           one write() for all of them
//                                 \-- of synced mutations: held until a run of the syncer that
//                                     started after their write has ended; everything else passes
//
// post(), take_reports(), stats() and stop() are called on the loop, everything else runs on the
// thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/waker.h"
#include "store/ledger/batch.h"
#include "store/ledger/database.h"
#include "store/ledger/folder.h"
#include "store/ledger/header_cache.h"
#include "store/ledger/ledger_options.h"
#include "store/ledger/log_syncer.h"
#include "store/ledger/operation.h"

namespace stayd {

class Worker {
 public:
  // Starts the thread. `database` is open for writing and holds `info`.
  Worker(LedgerOptions options, Folder folder, std::unique_ptr<Database> database, LedgerInfo info,
         Waker& waker);
  ~Worker();  // stop()

  // Moves the operations out of `operations`, which keeps its capacity where possible.
  void post(std::vector<Operation>& operations);
  std::vector<Report> take_reports();
  StoreStats stats() const;
  Hlc highest_hlc() const { return highest_hlc_.load(std::memory_order_relaxed); }
  // Does what was posted, writes everything to table files, closes the database, ends the thread.
  void stop();

  // Batches end at these; a group is never split.
  static constexpr std::size_t kMaxBatchOperations = 1'024;
  static constexpr std::size_t kMaxBatchBytes = std::size_t{4} << 20;

 private:
  // One ApplyOne or ApplyGroup of the batch being gathered.
  struct Gathered {
    Store::Change* changes;
    std::size_t count;
    std::int64_t wall_ms;
    std::size_t first_report;
    bool synced;
  };
  struct ResealStep {
    std::uint64_t rows = 0;     // to be written anew
    std::uint64_t skipped = 0;  // that do not open
    bool ends = false;          // there are no more
  };

  void run();
  bool wait(std::vector<Operation>& operations);
  void execute(std::vector<Operation>& operations);
  void execute_one(Operation& operation);

  void gather(Store::Change* changes, std::size_t count, Durability durability,
              std::int64_t wall_ms);
  // False: a group could not be applied as a whole; the batch is not to be written.
  bool apply_gathered(const Gathered& gathered);
  bool may_grow(const Gathered& gathered) const;
  void refuse(const Gathered& gathered, const Error& error);
  void refuse_all(const Error& error);
  void load(LoadOne& operation);
  void scan(ScanOne& operation);
  void flush(const FlushOne& operation);
  Result<void> delete_slots(const FlushOne& operation, int db, rocksdb::WriteBatch& batch);
  void swap(const SwapOne& operation);

  void rekey(RekeyOne& operation);
  void begin_reseal();
  bool can_reseal() const;
  void reseal_if_due();
  Result<ResealStep> gather_reseal(std::string& from);
  Error write_reseal(const ResealStep& step);  // without a message: none

  void commit();
  rocksdb::Status write_batch();
  void written();
  void retry_without_space(const Error& error);
  void write_now(rocksdb::WriteBatch& batch, LedgerInfo next, StoreToken token, const char* doing);
  void sync_if_due();
  void start_sync();
  void end_sync(const Result<void>& result);
  void await_sync();
  void hold_synced();
  void release_held(const Error& error);
  void settle_held();
  void tend();
  void watch_space(std::uint64_t used_bytes);
  void recover();
  void reopen();
  std::optional<Error> unusable() const;
  static Error no_room_at_all();
  void note_error(const Error& error);
  void report_applied(StoreToken token, const Error& error);
  void publish();
  std::int64_t mono_us() const;

  const LedgerOptions options_;
  Waker& waker_;

  // The thread's own.
  Folder folder_;
  std::unique_ptr<Database> database_;
  LedgerInfo info_;
  HeaderCache headers_;
  Batch batch_;
  std::vector<Gathered> gathered_;
  std::vector<Report> reports_;
  std::map<std::string, std::string> dirty_facts_;  // kept until a write takes them
  bool sync_wanted_ = false;
  // Of synced mutations that are written: on disk with the run under way, with the one after it.
  std::vector<Report> syncing_reports_;
  std::vector<Report> unsynced_reports_;
  std::shared_ptr<const SyncedRows> syncing_rows_;  // as they were when the run started
  bool unsynced_ = false;  // something was written since the last sync started
  std::int64_t unsynced_since_us_ = 0;
  bool broken_ = false;  // a write or a sync failed: nothing is written before it was opened anew
  bool log_doubtful_ = false;  // a sync failed: the page cache alone may hold what the logs do
  bool full_ = false;          // ENOSPC or max_disk_bytes: tombstones only
  std::int64_t recovered_at_us_ = 0;
  std::int64_t tended_at_us_ = 0;
  bool resealing_ = false;
  std::string reseal_from_;           // a row's key; empty: the first
  std::uint64_t reseal_skipped_ = 0;  // rows of this walk that do not open
  std::int64_t reseal_due_us_ = 0;
  std::uint64_t executed_ = 0;  // operations since the last publish()

  // Shared.
  std::atomic<Hlc> highest_hlc_;
  mutable std::mutex mutex_;
  std::condition_variable posted_;
  bool sleeping_ = false;
  bool stopping_ = false;
  bool sync_ended_ = false;
  std::vector<Operation> inbox_;
  std::vector<Report> outbox_;
  StoreStats stats_;
  std::uint64_t in_flight_ = 0;  // operations posted and not yet published
  std::uint64_t held_ = 0;       // reports that wait for the disk

  LogSyncer syncer_;  // tells the members above when a run has ended: goes before them
  std::thread thread_;
};

}  // namespace stayd
