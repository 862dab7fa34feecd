// A ledger in a fleet: the Store that an engine has when stayds share a backup
// (docs/adr/0016-shared-backup.md). Everything it is asked goes to the ledger; what it takes is
// shipped, what others have done comes in by the feed, and where the engine asks exactly, the
// backup is asked.
//
//                 ┌── FleetShipper ───▶ ┐
//   Store ── ledger ◀── FleetFeed ──────┤ backup
//                 ├── FleetReads ─────▶ ┤
//                 └── FleetAgreement ─▶ ┘
//
// Loop thread only; sans-I/O. Borrows the ledger and the backup, whose events it takes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/slot_table.h"
#include "core/fleet.h"
#include "core/fleet_agreement.h"
#include "core/fleet_feed.h"
#include "core/fleet_reads.h"
#include "core/fleet_restored.h"
#include "core/fleet_sample.h"
#include "core/fleet_shipper.h"

namespace stayd {

struct FleetStatus {
  BackupStatus backup;
  std::size_t unshipped = 0;
  std::size_t put_off = 0;   // of these: nothing but expiry that may wait
  Hlc oldest_unshipped = 0;  // of the others; 0: none
  Hlc shipped_to = 0;
  std::int64_t feed_read_us = 0;  // Now::mono_us; 0: never to its end
  std::uint64_t rows_taken = 0;
  std::size_t passed = 0;
  std::size_t reads = 0;       // exact ones, under way
  std::size_t agreements = 0;  // likewise
  bool restoring = false;      // the ledger's rows are being written to it once more
  std::size_t at_work = 0;     // other stayds, in this Redis
};

class FleetStore final : public Store,
                         private StoreEvents,
                         private BackupEvents,
                         private StoreClient {
 public:
  FleetStore(Store& ledger, Backup& backup, FleetOptions options, HlcClock& clock,
             Counters& counters);

  void set_judge(FleetJudge* judge) { c_.judge = judge; }  // before start()
  void start(Now now);
  void set_now(Now now) { c_.now = now; }  // before every batch of calls or events
  void on_tick(Now now);
  FleetStatus status() const;
  std::uint64_t origin() const { return c_.options.origin; }
  const std::vector<FleetHostSeen>& hosts() const { return feed_.hosts(); }
  void poll() { feed_.on_hint(); }  // the feed, now
  // What has been told of this key may not be in the backup yet.
  bool unshipped(std::string_view key) const { return shipper_.knows(key); }

  void set_events(StoreEvents* events) override { events_ = events; }
  void apply(std::vector<Change> changes, Durability durability) override;
  void apply_one(Mutation mutation, StoreToken token, Durability durability) override;
  void load(FullKey key, StoreToken token) override;
  void load_meta(FullKey key, StoreToken token) override;
  void load_exact(FullKey key, StoreToken token) override;
  void apply_agreed(std::vector<Change> changes, RowsRead read, Durability durability) override;
  void scan(ScanQuery query, StoreToken token) override;
  void flush(int db, Hlc hlc, std::shared_ptr<const SlotSet> slots, StoreToken token) override;
  void swap_databases(int a, int b, StoreToken token) override;
  void put_fact(std::string name, std::string value) override {
    c_.ledger.put_fact(std::move(name), std::move(value));
  }
  std::string fact(std::string_view name) const override { return c_.ledger.fact(name); }
  InFlightTable& in_flight() override { return c_.ledger.in_flight(); }
  Hlc highest_hlc() const override { return c_.ledger.highest_hlc(); }
  void submit() override;
  StoreStats stats() const override { return c_.ledger.stats(); }

 private:
  // An operation of the owner's that the ledger does.
  struct Passed {
    StoreToken token = 0;
    bool ships = false;  // a change that the others must hear of:
    FullKey key;
    Hlc hlc = 0;
    bool tomb = false;                          // a logout
    bool creates = false;                       // if there was nothing
    bool opens = false;                         // whatever there was: Redis had nothing (B2)
    std::optional<std::int64_t> expires_at_ms;  // of a mere expiry
  };
  StoreToken pass(StoreToken token) { return pass(Passed{.token = token}); }
  StoreToken pass(Passed passed);
  std::int64_t wait_ms(const Passed& passed, const RowMeta& before) const;
  Passed prepare(Mutation& mutation, StoreToken token, Durability durability);

  // StoreClient: what the ledger says of passed operations
  void on_applied(std::uint64_t tag, const Error& error, const ApplyResult& result) override;
  void on_loaded(std::uint64_t tag, const Error& error, Row row) override;
  void on_scanned(std::uint64_t tag, const Error& error, ScanPage page) override;
  // StoreEvents of the ledger are c_.ledger_ops'
  void report(StoreToken token, const Error& error, const ApplyResult& result);

  // BackupEvents
  void on_written(BackupToken token, const Error& error,
                  std::vector<BackupWritten> results) override {
    c_.backup_ops.written(token, error, std::move(results));
  }
  void on_read(BackupToken token, const Error& error, std::vector<BackupRow> rows) override {
    c_.backup_ops.read(token, error, std::move(rows));
  }
  void on_feed(BackupToken token, const Error& error, FeedPage page) override {
    c_.backup_ops.feed(token, error, std::move(page));
  }
  void on_hint() override { feed_.on_hint(); }
  void on_status(const BackupStatus& status) override;
  void tell_of_itself();
  void look_for_restore();
  void on_restored();

  FleetContext c_;
  FleetShipper shipper_;
  FleetReads reads_;
  FleetAgreement agreement_;
  FleetSample sample_;
  FleetFeed feed_;
  FleetRestored restored_;
  StoreEvents* events_ = nullptr;
  std::int64_t told_us_ = 0;
  std::int64_t up_us_ = 0;  // since then it has been one and the same backup, as far as is known
  bool told_trust_ = false;
  SlotTable<Passed> passed_;
};

}  // namespace stayd
