// The shared backup: one row for each key, which all stayds of a fleet read and write, each with a
// ledger of its own in front (docs/adr/0016-shared-backup.md). Implementations: `store/postgres/`,
// `store/mysql/`, `store/dynamodb/` (which says where it promises less); `store/backup/memory/` for
// tests and the simulator.
//
// What it promises: each row is linearizable while the backup is up; a write is durable before it
// is reported; a row never goes back in the order of `newer()`; the feed shows every change that
// was committed, each row's latest at least, whatever transactions overlap or take long.
//
// Thread rule: every member is called on the engine loop, and every BackupEvents member is called
// on that loop too; an implementation that works elsewhere hands its results over itself.
//
// Order: operations may be executed and reported in any order. A caller that needs one after the
// other waits for the report. Tokens are the caller's, and are reported exactly once, never from
// within the call, at the latest at the operation's deadline: an operation that was not answered
// until then is reported with `Errc::timed_out`, and may have happened or yet happen. `limit`: too
// large; `busy`: too much is queued; `unavailable`: the backup is out or takes no writes. Nothing
// has happened then, except where the connection was lost on the way: `io`, as `timed_out`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/types.h"
#include "session/record.h"

namespace stayd {

inline constexpr std::size_t kMaxBackupBatch = 1024;     // rows or keys in one operation
inline constexpr std::size_t kMaxBackupKeyBytes = 1024;  // what an index takes; `limit` above it
inline constexpr std::size_t kMaxBackupHostNameBytes = 255;
inline constexpr std::int64_t kHostSeenMs = 24 * 3'600'000;  // a page's hosts were seen within it
inline constexpr std::int64_t kPurgeExpiredMs = 3'600'000;   // a purge leaves expired rows so long
inline constexpr std::int64_t kPurgeHostMs = 7 * 24 * 3'600'000;  // ... and hosts
inline constexpr std::size_t kMaxBackupBytes = 64 << 20;  // of the values in one operation or page

using BackupToken = std::uint64_t;

struct BackupRow {
  FullKey key;
  std::uint32_t incarnation = 0;
  RowState state = RowState::absent;  // absent: there is no row
  // Version of the value, or of the removal: hlc, below 2^63, and who made it (0: nobody of a
  // fleet).
  Hlc hlc = 0;
  std::uint64_t origin = 0;
  // Of the last touch since; 0: none. Kept apart from `hlc`: a touch by a stayd that has not seen
  // the latest value yet must not stand in that value's way.
  Hlc touched_hlc = 0;
  Record record;  // with its expiry; empty unless live
  std::int64_t created_at_ms = 0;
  std::int64_t tomb_until_ms = 0;  // a tombstone: may be purged after it. 0: never
  // The value, or the removal, was made by a command that its host's Redis has executed (B11).
  bool through_redis = false;
  // Number of the change that made the row what it is: later changes have higher ones or the same,
  // in the order of the feed. Given by the backup; ignored in what is written.
  std::uint64_t change = 0;
  // Why there is a value and it is not here (damaged, or too many): `record` holds no value, and
  // nobody may take the row for more than its versions say. Ignored in what is written.
  std::string unreadable;

  Version version() const { return {hlc, origin}; }
};

// The order in which rows of one key replace each other (I7): a later incarnation, then a tombstone
// over what lived in that incarnation, then the later version. One tombstone is enough for an
// incarnation: no second one replaces it.
constexpr bool newer(std::uint32_t incarnation, RowState state, Version version,
                     const BackupRow& than) {
  if (incarnation != than.incarnation) return incarnation > than.incarnation;
  if (state != than.state) return state > than.state;  // absent < live < tomb
  return state != RowState::tomb && version > than.version();
}

struct BackupWrite {
  enum class Kind : std::uint8_t {
    put,    // the whole row, where it is newer than what is there
    touch,  // of a live row of this incarnation whose value is older than the touch: the later of
            // the two expiries (0 is the latest) and touches; `row.hlc` is the touch's version
    bury,   // of a logout that has seen no row, a tombstone: takes the incarnation of a live row
            // that is there, if that is older by version; its own where there is none
  };
  Kind kind = Kind::put;
  BackupRow row;
  // Only if the row there has exactly this version; zeros: only if there is none. nullopt: whatever
  // is there.
  std::optional<Version> expected;  // not of a burial
};

enum class BackupOutcome : std::uint8_t {
  applied,
  superseded,  // what is there is as new or newer (or, for a touch, another); unchanged
  conflict,    // what is there is not what was `expected`; unchanged
};

struct BackupWritten {
  BackupOutcome outcome = BackupOutcome::applied;
  std::uint64_t change = 0;       // of the row as it is now; 0: none
  std::uint32_t incarnation = 0;  // of the row as it is now, or would be
  BackupRow current;              // filled unless applied: what is there, kMaxBackupBytes of it
};

// What a stayd says of itself: its entry in the host table.
struct BackupHost {
  std::uint64_t instance = 0;  // whose it is; not 0
  std::string name;            // for people; may be empty
  // Of the entry. One that is not later than what is there changes nothing: it was late itself.
  Hlc hlc = 0;
  bool trusts_redis = false;
  Hlc shipped_to = 0;  // without what it is written with, which may be refused
  // When it was written, on the backup's clock. Ignored in what is written.
  std::int64_t seen_ms = 0;
};

struct BackupBatch {
  std::vector<BackupWrite> writes;  // may be empty: of the host alone
  // If one of the outcomes is not `applied`, nothing is written, the host neither, and the outcomes
  // say what would have been. Names each key once.
  bool together = false;
  std::optional<BackupHost> host;
};

// A place in the feed, of the backup's own making; empty: the beginning. Durable text, at most
// 4 KB.
using FeedCursor = std::string;

// Hosts that were seen within kHostSeenMs.
struct BackupHosts {
  std::vector<BackupHost> hosts;  // by instance
  std::int64_t clock_ms = 0;      // the backup's clock when they were read
};

struct FeedPage {
  std::vector<BackupRow> rows;  // in the order of `change`; a row may come again
  FeedCursor next;              // pass to go on
  // Every change up to this one has been shown to whoever read from the beginning up to `next`.
  std::uint64_t complete_to = 0;
  // False: whoever read from the beginning up to `next` has been shown each row as it was when this
  // page was asked for, or later.
  bool more = false;
  // With pages without `more`, but none of a standby, which may be far behind. Read before the
  // rows: all that was committed before an entry has been shown.
  std::optional<BackupHosts> hosts;
};

struct BackupStatus {
  bool up = false;                   // answers reads
  bool writable = false;             // and takes writes
  std::string error;                 // why not, or the last one
  std::string epoch;                 // of the data: another one after a restore, or a new database
  std::int64_t clock_offset_ms = 0;  // the backup's clock minus ours
  std::int64_t clock_error_ms = 0;   // half the round trip it was measured with
  std::size_t under_way = 0;
  std::size_t queued = 0;
};

class BackupEvents {
 public:
  virtual ~BackupEvents() = default;
  // One for each write, in their order; empty on an error.
  virtual void on_written(BackupToken token, const Error& error,
                          std::vector<BackupWritten> results) = 0;
  // One for each key, in their order, absent ones included; empty on an error.
  virtual void on_read(BackupToken token, const Error& error, std::vector<BackupRow> rows) = 0;
  virtual void on_feed(BackupToken token, const Error& error, FeedPage page) = 0;
  // Somebody has changed something: a poll now would show it. Never relied upon.
  virtual void on_hint() = 0;
  virtual void on_status(const BackupStatus& status) = 0;  // up, down, writable, another epoch
};

class Backup {
 public:
  virtual ~Backup() = default;
  virtual void set_events(BackupEvents* events) = 0;  // before start(); outlives the backup's use
  virtual void start() = 0;                           // connects, and again after each loss

  // At most kMaxBackupBatch writes. All of it is done together or, on an error, none; a key that is
  // named again sees what came before it. Batches that hold a tombstone go before others.
  // `deadline_us`: on the clock of `Now::mono_us`.
  virtual void write(BackupBatch batch, BackupToken token, std::int64_t deadline_us) = 0;
  virtual void read(std::vector<FullKey> keys, BackupToken token, std::int64_t deadline_us) = 0;
  // At most `limit` rows. A cursor of another epoch, or one that does not read, begins anew.
  virtual void feed(FeedCursor after, std::size_t limit, BackupToken token,
                    std::int64_t deadline_us) = 0;

  virtual BackupStatus status() const = 0;
};

}  // namespace stayd
