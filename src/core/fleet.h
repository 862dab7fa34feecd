// A fleet: all stayds that share a backup (docs/adr/0016-shared-backup.md, rules B1 to B13). What
// the parts of FleetStore have in common. Loop thread only; sans-I/O.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/hlc.h"
#include "base/random.h"
#include "core/backup_ops.h"
#include "core/store_ops.h"
#include "observe/counters.h"
#include "observe/events.h"
#include "session/mutation.h"

namespace stayd {

struct FleetOptions {
  // Of this process: never used by another one, nor by an earlier process of this ledger. Not 0.
  std::uint64_t origin = 1;
  std::string name;                      // of the host, for people
  std::int64_t ship_after_ms = 100;      // values, at most so long after they were acknowledged
  std::int64_t touch_after_ms = 60'000;  // expiry that was put off; an eighth of what is left of it
                                         // if that is less
  std::int64_t deadline_ms = 100;        // reads and writes that somebody waits for
  std::int64_t ship_deadline_ms = 2000;  // others
  std::int64_t told_after_ms = 250;      // a login or logout is told without the backup
  std::int64_t poll_ms = 200;            // of the feed
  std::size_t batch = 256;               // rows in a shipment
  std::size_t max_unshipped = 1 << 17;   // keys, about 20 MB
  std::size_t page = 512;                // rows of the feed at once
  std::size_t max_missed = 1 << 16;      // keys of the feed that wait for what is unshipped
};

// The number of the process' start stands in the low bits of an origin, the host's in the others.
inline constexpr std::uint64_t kOriginLives = 1 << 20;
constexpr std::uint64_t host_of(std::uint64_t origin) {
  return origin & ~(kOriginLives - 1);
}
// Of a process that is about to start on this ledger, which gets a host's number if it has none.
std::uint64_t next_origin(Store& ledger, Random& random);
// Of a process without a backup: what it changes in a ledger that has had one is not marked as
// unshipped.
void note_life_without_backup(Store& ledger);
// Whether there was such a one, until that is forgotten.
bool had_life_without_backup(const Store& ledger);
void forget_life_without_backup(Store& ledger);

// What becomes of ours and another stayd's change of one key (B4).
enum class Verdict : std::uint8_t {
  wait,       // it cannot be said yet: asked again
  theirs,     // ours is given up
  ours,       // ours is shipped on top of theirs; on a tombstone as a new session
  read_back,  // Redis is the judge, and will be read: what comes of it is shipped
};

// Knows what Redis holds, and hears what other stayds have done. Not owned.
// A host's entry in the host table, and when it said what.
struct FleetHostSeen {
  BackupHost entry;
  std::int64_t told_ago_ms = 0;  // by the backup's clock, when it was read
  std::int64_t read_us = 0;      // then
  // Entries that were seen one after the other: when it was asked for, and the entry's hlc. An
  // entry that was not there yet when an earlier one was asked for has been made since the one
  // before that was written, as a host writes one after the other.
  std::vector<std::pair<std::int64_t, Hlc>> seen;
  bool shipped_since(std::int64_t mono_us) const;
};

class FleetJudge {
 public:
  virtual ~FleetJudge() = default;
  // `asked_us`: when this was asked first (Now::mono_us).
  virtual Verdict judge(const FullKey& key, const RowMeta& ours, const RowMeta& theirs,
                        std::int64_t asked_us) = 0;
  // The ledger holds another stayd's row now. Before anything that is asked later is answered.
  virtual void on_foreign(const FullKey& key, const RowMeta& theirs) = 0;
  // What has been made of the key with this version, Redis has executed while it was trusted.
  virtual bool made_through_redis(const FullKey&, Hlc) const { return false; }
  // Versions from here on may be in Redis and not in the ledger yet; 0: there are none.
  virtual Hlc unrecorded_from() const { return 0; }
  virtual bool trusts_redis() const { return false; }
  // Other stayds that are seen to write their heartbeats into this Redis.
  virtual std::size_t hosts_at_work() const { return 0; }
};

struct FleetContext {
  FleetContext(Store& l, Backup& b, FleetOptions o, HlcClock& c, Counters& n)
      : ledger(l), backup(b), options(o), clock(c), counters(n) {}

  Store& ledger;
  Backup& backup;
  const FleetOptions options;
  HlcClock& clock;
  Counters& counters;
  FleetJudge* judge = nullptr;
  StoreOps ledger_ops;
  BackupOps backup_ops;
  BackupStatus status;
  // Versions of ours that the ledger may write, or has written, and has not reported.
  std::multiset<Hlc> recording;
  // The backup has said that it has this row: what was shipped. Its value is left out.
  std::function<void(const BackupRow&)> in_backup = [](const BackupRow&) {};
  Now now;

  // It is worth a client's time to ask.
  bool can_read() const { return status.up && backup_ops.answers(); }
  bool can_write() const { return status.writable && backup_ops.answers(); }
  std::int64_t in(std::int64_t ms) const { return now.mono_us + ms * 1000; }
};

// --- between the rows of the ledger and those of the backup

std::string origin_text(std::uint64_t origin);

BackupRow backup_row(const FullKey& key, const Row& row);
// Without its value, at `version`.
BackupRow backup_row(const FullKey& key, const RowMeta& meta, Version version);
RowMeta meta_of(const BackupRow& row);
// The change that makes the ledger's row what `row` says; `replace`: whatever of ours is unshipped.
Mutation merge_of(BackupRow row, bool replace);
// The backup has `row`, or of a touch that of `base` with our touch on it.
Mutation shipped_of(const FullKey& key, const RowMeta& row, Version base);

}  // namespace stayd
