// The seam behind which rows are kept. Implementations: `ledger/` (RocksDB, embedded, always
// there), `memory/` (tests and simulator), later the shared databases. `faulty/` wraps any of them.
//
// Thread rule: every member is called on the engine loop, and every StoreEvents member is called on
// that loop too; an implementation that works elsewhere hands its results over itself.
//
// Order: operations take effect in the order of the calls: a load sees every mutation called before
// it, whether that has been reported or not. They are reported in that order too, except that
// `synced` mutations, which wait for the disk, may be reported later than what was called after
// them; never earlier than what was called before them, and in order among themselves, but for
// those that are refused at once. Calls may be gathered; nothing is promised to start before
// `submit()`.
//
// Tokens are the caller's; the store only returns them. Bounded: the caller keeps at most
// `kMaxStoreOperations` unreported operations, and sheds above that.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/slots.h"
#include "base/types.h"
#include "session/mutation.h"
#include "store/in_flight.h"

namespace stayd {

inline constexpr std::size_t kMaxStoreOperations = 1 << 17;

using StoreToken = std::uint64_t;

// When a mutation may be reported as applied.
enum class Durability : std::uint8_t {
  written,  // after write(): survives kill -9 of stayd; fsynced in the background each 100 ms
  synced,   // after fdatasync (group commit): survives power loss. Logouts.
};

struct ApplyResult {
  ApplyOutcome outcome = ApplyOutcome::applied;
  RowMeta before;  // the row's metadata just before this mutation
};

// One page of a scan over keys in key order.
struct ScanEntry {
  FullKey key;
  RowMeta meta;
};
struct ScanPage {
  std::vector<ScanEntry> entries;
  FullKey next;       // pass as `after` to go on
  bool done = false;  // no entry follows
};
struct ScanQuery {
  int db = -1;                      // -1: every database
  FullKey after;                    // exclusive; empty: from the start
  Hlc newer_than = 0;               // only rows with hlc > this
  RowState state = RowState::live;  // `live` (expired rows left out) or `tomb`
  bool with_expired = false;        // `live` rows whose expiry has passed too: Redis may hold older
  std::shared_ptr<const SlotSet> slots;  // only keys of these; nullptr: all
  std::size_t limit = 256;               // entries per page, at most 4,096
};

inline bool in_slots(const std::shared_ptr<const SlotSet>& slots, std::string_view full_key) {
  return slots == nullptr || (*slots)[slot_of(key_of(full_key))];
}

struct StoreStats {
  std::uint64_t rows_estimate = 0;
  std::uint64_t disk_bytes = 0;
  std::uint64_t memory_bytes = 0;  // of rows that are not in files yet, and of what was read
  std::uint64_t queued = 0;
  std::uint64_t applied_total = 0;
  std::uint64_t batches_total = 0;
  std::uint64_t sync_total = 0;
  std::uint32_t data_key = 0;         // under which values are sealed; 0: they are not
  bool resealing = false;             // some may be under another, or under none
  std::uint64_t resealed = 0;         // rows of the walk under way, or of the last one
  std::uint64_t reseal_skipped = 0;   // of these, as they do not open
  std::int64_t last_error_at_ms = 0;  // 0: never
  std::string last_error;
};

class StoreEvents {
 public:
  virtual ~StoreEvents() = default;
  // `error.message` is empty on success. On failure nothing of this mutation is promised: it may
  // stand in the row, and be there or not after the next power cut.
  virtual void on_applied(StoreToken token, const Error& error, const ApplyResult& result) = 0;
  virtual void on_loaded(StoreToken token, const Error& error, Row row) = 0;
  virtual void on_scanned(StoreToken token, const Error& error, ScanPage page) = 0;
};

class Store {
 public:
  virtual ~Store() = default;

  virtual void set_events(
      StoreEvents* events) = 0;  // before any operation; outlives the store's use

  // Mutations given with one call are applied together or not at all (MULTI; RENAME's two rows).
  // Each has its own token. At most 65,536 mutations.
  struct Change {
    Mutation mutation;
    StoreToken token = 0;  // 0: not reported
  };
  virtual void apply(std::vector<Change> changes, Durability durability) = 0;
  virtual void apply_one(Mutation mutation, StoreToken token, Durability durability) = 0;

  // The row with its value. A row that does not exist is reported with state `absent`. An expired
  // row is reported as it stands; the caller compares with its own clock.
  virtual void load(FullKey key, StoreToken token) = 0;
  // Metadata only: one point read, whatever the size of the value.
  virtual void load_meta(FullKey key, StoreToken token) = 0;

  // The row as all stayds of a fleet know it (docs/adr/0016); `Row::alone` where the others could
  // not be asked. Without a shared backup the ledger is all there is.
  virtual void load_exact(FullKey key, StoreToken token) { load(std::move(key), token); }
  // Changes of rows as load_exact() has just reported them, `read`, which names the key of each:
  // applied only if these are still the latest, else reported as `outpaced`, all of them.
  using RowsRead = std::vector<std::pair<FullKey, Row>>;
  virtual void apply_agreed(std::vector<Change> changes, RowsRead, Durability durability) {
    apply(std::move(changes), durability);
  }

  virtual void scan(ScanQuery query, StoreToken token) = 0;

  // Every row of `db` older than `hlc` becomes void at once, durably (R18). db -1: all databases.
  // `slots`: only rows of these; nullptr: all.
  virtual void flush(int db, Hlc hlc, std::shared_ptr<const SlotSet> slots, StoreToken token) = 0;
  // R18: SWAPDB.
  virtual void swap_databases(int a, int b, StoreToken token) = 0;

  // Small durable facts under a name (adoption cursor, epoch, instance id). `written` durability.
  virtual void put_fact(std::string name, std::string value) = 0;
  virtual std::string fact(
      std::string_view name) const = 0;  // empty: never set; answers from memory

  // Keys of writes on their way to Redis; answers at once, from memory that a kill -9 leaves.
  virtual InFlightTable& in_flight() = 0;

  // The highest version ever applied; 0 for a new store.
  virtual Hlc highest_hlc() const = 0;

  // Hands gathered operations to whoever does the work. Called once per loop turn.
  virtual void submit() = 0;

  virtual StoreStats stats() const = 0;
};

}  // namespace stayd
