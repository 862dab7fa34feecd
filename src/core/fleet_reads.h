// Exact reads (B7): a key's row as the whole fleet knows it. What of it is ours and unshipped is
// shipped first; then ledger and backup are read, and the newer one counts, and is in the ledger.
// One read of the backup for all who ask at once. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/fleet.h"
#include "core/fleet_shipper.h"

namespace stayd {

class FleetReads final : private StoreClient, private BackupClient {
 public:
  // `alone`: the backup could not be asked, the row is the ledger's.
  using Told = std::function<void(const Error& error, Row row, bool alone)>;

  FleetReads(FleetContext& context, FleetShipper& shipper) : c_(context), shipper_(shipper) {}

  // `told` is called exactly once, later.
  void load(const FullKey& key, Told told);
  void submit();  // once a turn

  std::size_t under_way() const { return reads_.size(); }

 private:
  struct Read {
    std::vector<Told> told;
    std::vector<Told> next;  // asked later: what is under way may be from before
    bool begun = false;
    bool shipped = false;  // what the ledger was found to have and the backup not
    bool known = false;    // to the shipper, when the ledger was asked
    bool again = false;    // it is, as that was not known
    std::uint64_t number = 0;
    Row row;
    Error error;
    bool loaded = false;
    bool asked = false;  // the backup has answered, or has not
    bool alone = false;
    BackupRow there;
  };

  void on_applied(std::uint64_t, const Error&, const ApplyResult&) override {}
  void on_loaded(std::uint64_t tag, const Error& error, Row row) override;
  void on_read(std::uint64_t tag, const Error& error, std::vector<BackupRow> rows) override;

  struct Asked {
    std::vector<FullKey> keys;
    std::int64_t deadline_us = 0;
  };

  void ship(const FullKey& key);
  void ask(Asked asked);
  void begin(const FullKey& key, bool ask);
  bool ship_what_was_found(const FullKey& key, Read& read);
  bool read_again(const FullKey& key, Read& read);
  void join(const FullKey& key);

  FleetContext& c_;
  FleetShipper& shipper_;
  KeyMap<Read> reads_;
  std::map<std::uint64_t, FullKey> loads_;  // under way, by number
  std::uint64_t last_ = 0;
  std::vector<FullKey> to_ask_;
  std::map<std::uint64_t, Asked> asked_;
};

}  // namespace stayd
