// The backup is another one than before, or was restored from an earlier time (B12): how that is
// seen, and what is done about it. Every row of the ledger is written to it once more, where it has
// none as new; what the ledger has not shipped is the shipper's, as ever.
//
//   another epoch ────────────────────────┐
//   this host's entry in the host table ──┼─▶ begin() ─▶ rows of the ledger, page by page ─▶ backup
//   is older than one it has confirmed    │
//   a row is older than it was shown ─────┘
//
// The first two are hints, and come early. The entry may be written again before anybody has read
// it, and a dump that is loaded in place is no transaction: the host table may be replaced long
// before the rows, and what is written to the old ones in between goes with them. The row
// (fleet_sample.h) tells for certain. Each sign begins it anew, while it is under way too; that row
// is looked at before anything is written, so that one restore with several signs counts as one.
//
// The same after a life of this ledger without the backup, whose changes nobody has marked.
//
// That it is under way is a durable fact; an earlier life's is begun anew. Loop thread only.
#pragma once

#include <cstdint>
#include <vector>

#include "core/fleet.h"
#include "core/fleet_sample.h"

namespace stayd {

class FleetRestored final : private StoreClient, private BackupClient {
 public:
  FleetRestored(FleetContext& context, FleetSample& sample) : c_(context), sample_(sample) {}

  void start();
  void on_tick();
  void begin();  // from the first row on
  bool under_way() const { return under_way_; }
  bool looks_first() const { return looks_first_; }  // begun, and nothing written yet

  // Of entries in the host table: takes their answers, with their hlc as tag.
  BackupClient& entries() { return entries_; }
  // Has it gone back, as the host table says that was asked for at `read_us`?
  bool has_gone_back(const std::vector<FleetHostSeen>& hosts, std::int64_t read_us);

 private:
  struct Entries final : BackupClient {
    void on_written(std::uint64_t tag, const Error& error,
                    std::vector<BackupWritten> results) override;
    const FleetContext* context = nullptr;
    Hlc confirmed = 0;  // the last entry that the backup had; 0: none
    std::int64_t confirmed_us = 0;
  };

  void on_applied(std::uint64_t, const Error&, const ApplyResult&) override {}
  void on_loaded(std::uint64_t tag, const Error& error, Row row) override;
  void on_scanned(std::uint64_t tag, const Error& error, ScanPage page) override;
  void on_written(std::uint64_t tag, const Error& error,
                  std::vector<BackupWritten> results) override;

  void scan();
  void write();
  void page_done();

  FleetContext& c_;
  FleetSample& sample_;
  Entries entries_;
  Hlc saved_ = 0;  // of `confirmed`
  bool under_way_ = false;
  bool looks_first_ = false;
  bool busy_ = false;               // an answer is awaited
  std::int64_t not_before_us_ = 0;  // after a failure
  std::uint64_t generation_ = 0;    // of begin()
  RowState state_ = RowState::tomb;
  ScanPage page_;
  std::size_t to_load_ = 0;
  std::vector<BackupWrite> writes_;  // of the page, not yet written
  std::vector<RowMeta> metas_;       // of their rows
  std::size_t chunk_ = 0;            // how many of them at once
};

}  // namespace stayd
