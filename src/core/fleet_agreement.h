// Writes that the backup decides (B7): what commands made of rows that were read exactly is written
// there if these are still the latest, and only then to the ledger.
//
//   decide() ─▶ rows of the ledger ─▶ changes applied to them ─▶ backup: only onto these rows
//                                  applied ─▶ ledger, reported     │
//                                  not answered ─▶ ledger, to be shipped
//                                  another stayd was first ─▶ its row to the ledger, `outpaced`
//
// Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "core/fleet.h"
#include "core/fleet_shipper.h"

namespace stayd {

class FleetAgreement final : private StoreClient, private BackupClient {
 public:
  // Writes the changes to the ledger, and reports them.
  using Record = std::function<void(std::vector<Store::Change> changes)>;

  FleetAgreement(FleetContext& context, FleetShipper& shipper) : c_(context), shipper_(shipper) {}

  // Requires that nothing of the keys is unshipped, as an exact read sees to. `record` is called
  // unless another stayd was first, which `outpaced` hears; one of them, exactly once.
  void decide(std::vector<Store::Change> changes, Record record, std::function<void()> outpaced);

 private:
  struct Change {
    std::vector<Store::Change> changes;
    Record record;
    std::function<void()> outpaced;
    std::vector<FullKey> keys;
    std::vector<Row> rows;
    std::vector<Version> bases;
    std::size_t to_load = 0;
    bool failed = false;
  };

  void on_applied(std::uint64_t, const Error&, const ApplyResult&) override {}
  void on_loaded(std::uint64_t tag, const Error& error, Row row) override;
  void on_written(std::uint64_t tag, const Error& error,
                  std::vector<BackupWritten> results) override;

  void write(std::uint64_t number);
  void finish(std::uint64_t number, bool shipped);

  FleetContext& c_;
  FleetShipper& shipper_;
  std::map<std::uint64_t, Change> under_way_;
  std::uint64_t last_ = 0;
};

}  // namespace stayd
