// Rows that the backup must have, one or two, read back once a second (B12). One has gone back, or
// is missing: the rows were restored from an earlier time, whatever the host table says.
//
//   feed, shipped ─▶ saw(): the latest ──▶ next ──┬──▶ read ─┬─▶ as new, or newer: the next ones
//                           the first since ───────┘          └─▶ has_gone_back(), once
//                                          at each question
//
// Which. A dump lacks what was made after it: the row with the latest version is missing if any
// is. It is anybody's: where its host is gone, this ledger has to do. It is one that was shown
// before the last question was asked, as one that was shown later may have been written after the
// restore, and would hide what is gone. What was shown since may be gone alone, where nothing was
// written between the dump and then: the first of it was shown before the restore if any was, and
// is read too. So a restore is seen however long it takes and whatever is written meanwhile, but
// for what was written, dumped over and restored within about a second.
//
// What says nothing: a row that a purge may have removed, or an answer while the backup takes no
// writes (a standby's). A row in the backup never gets older, so the order of answers is no matter.
// Rows above 64 KB are left out. The latest is a durable fact, ten times a second: the first that
// the next life reads.
//
// Loop thread only.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/fleet.h"

namespace stayd {

class FleetSample final : private BackupClient {
 public:
  explicit FleetSample(FleetContext& context) : c_(context) {}

  void start();
  void on_tick();
  void saw(const BackupRow& row);  // in the feed, or shipped
  // Asks at once; true until an answer to what was asked since is there, or there is nothing to
  // ask.
  void look() { wanted_ = true; }
  bool looking() const { return wanted_ || (under_way_ && look_); }
  bool has_gone_back() { return std::exchange(gone_back_, false); }

 private:
  void on_read(std::uint64_t tag, const Error& error, std::vector<BackupRow> rows) override;

  BackupRow sample_of(const BackupRow& row) const;
  bool must_be_there(const BackupRow& row) const;
  void ask();
  void save(std::string text);

  FleetContext& c_;
  // Without their values; `absent`: none.
  BackupRow latest_;
  BackupRow next_;
  BackupRow first_;              // since the last question
  std::vector<BackupRow> read_;  // until there is an answer
  std::string saved_;
  bool under_way_ = false;
  bool wanted_ = false;  // by look(), and not asked yet
  bool look_ = false;    // what is under way is by look()
  bool gone_back_ = false;
  std::int64_t due_us_ = 0;
  std::int64_t save_us_ = 0;
};

}  // namespace stayd
