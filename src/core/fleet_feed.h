// What other stayds have done, into the ledger (B11). Polled at each hint, and each 200 ms; where
// it has got to is a durable fact. Loop thread only.
#pragma once

#include <cstdint>
#include <vector>

#include "core/fleet.h"
#include "core/fleet_sample.h"
#include "core/fleet_shipper.h"

namespace stayd {

class FleetFeed final : private StoreClient, private BackupClient {
 public:
  FleetFeed(FleetContext& context, FleetShipper& shipper, FleetSample& sample)
      : c_(context), shipper_(shipper), sample_(sample) {}

  void start();
  void on_tick();
  // Nothing of the key is unshipped any more: what was missed of it can be taken.
  void look(const FullKey& key);
  void on_hint() { wanted_ = true; }
  // Reads from the beginning: another epoch of the backup, or a ledger that has lost its end.
  void restart();
  // When the last poll that read the feed to its end was begun (Now::mono_us); 0: none was.
  std::int64_t read_at_us() const { return read_at_us_; }
  // The host table has been read: this life's entry may replace the last one's.
  bool knows_its_end() const { return knows_its_end_; }
  std::uint64_t rows_taken() const { return rows_taken_; }
  // Of the host table, as it was last read; this stayd's own among them.
  const std::vector<FleetHostSeen>& hosts() const { return hosts_; }
  // When that was asked for (Now::mono_us); 0: never.
  std::int64_t hosts_read_us() const { return hosts_read_us_; }

 private:
  void on_applied(std::uint64_t tag, const Error& error, const ApplyResult& result) override;
  void on_loaded(std::uint64_t, const Error&, Row) override {}
  void on_feed(std::uint64_t tag, const Error& error, FeedPage page) override;
  void on_read(std::uint64_t tag, const Error& error, std::vector<BackupRow> rows) override;

  void poll();
  bool has_lost_its_end(const BackupHosts& read);
  void take_hosts(const BackupHosts& read);
  bool look_for_missed();
  void take(std::vector<BackupRow> rows);
  void miss(const FullKey& key);
  void page_done();
  void save();

  struct Foreign {
    FullKey key;
    RowMeta meta;
  };
  FleetContext& c_;
  FleetShipper& shipper_;
  FleetSample& sample_;
  FeedCursor cursor_;
  FeedCursor next_;
  bool more_ = false;
  bool under_way_ = false;
  bool wanted_ = true;
  bool failed_ = false;  // the ledger has not taken all of a page
  std::vector<Foreign> page_;
  bool looking_ = false;  // the page is of rows that were missed
  std::int64_t looked_us_ = 0;
  KeyMap<bool> missed_;  // true: can be looked for
  bool saved_ = true;    // where it has got to
  std::size_t to_apply_ = 0;
  std::uint64_t generation_ = 0;
  std::int64_t asked_us_ = 0;
  std::int64_t begun_us_ = 0;  // the first page of this reading was asked for
  std::int64_t read_at_us_ = 0;
  std::uint64_t rows_taken_ = 0;
  std::vector<FleetHostSeen> hosts_;
  std::int64_t hosts_read_us_ = 0;
  Hlc ledger_top_ = 0;  // when it was started
  bool knows_its_end_ = false;
};

}  // namespace stayd
