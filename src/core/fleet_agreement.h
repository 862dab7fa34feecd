// Writes that the backup decides (B7): what commands made of rows that were read exactly is written
// there if these are still the latest, and only then to the ledger.
//
//   decide() ─▶ changes applied to the rows as read ─▶ backup: only onto these rows
//                                  applied ─▶ that row to the ledger, reported
//                                  not answered ─▶ changes to the ledger, to be shipped
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
  FleetAgreement(FleetContext& context, FleetShipper& shipper) : c_(context), shipper_(shipper) {}

  struct Answer {
    // Writes the changes to the ledger, and reports them.
    std::function<void(std::vector<Store::Change> changes)> record;
    // Backup and ledger have them: what each one did.
    std::function<void(const Error& error, const std::vector<ApplyResult>& results)> agreed;
    std::function<void()> outpaced;  // another stayd was first
  };
  // `read`: rows as exact reads have brought them, each key once. One of `answer` is called, once.
  void decide(std::vector<Store::Change> changes, Store::RowsRead read, Durability durability,
              Answer answer);

  std::size_t under_way() const { return under_way_.size(); }

 private:
  struct Change {
    std::vector<Store::Change> changes;
    Durability durability = Durability::written;
    Answer answer;
    std::vector<FullKey> keys;
    std::vector<Row> rows;       // first as they are, then as they are to be
    std::vector<Version> bases;  // of the rows as they were read
    std::vector<Version> read;   // their versions
    std::vector<ApplyResult> results;
    std::size_t left = 0;  // of the keys: to be taken
    Error error;

    void drop(std::size_t i) {
      const auto at = static_cast<std::ptrdiff_t>(i);
      keys.erase(keys.begin() + at);
      rows.erase(rows.begin() + at);
      bases.erase(bases.begin() + at);
      read.erase(read.begin() + at);
    }
  };

  void on_applied(std::uint64_t tag, const Error& error, const ApplyResult& result) override;
  void on_loaded(std::uint64_t tag, const Error& error, Row row) override;
  void on_written(std::uint64_t tag, const Error& error,
                  std::vector<BackupWritten> results) override;

  void write(std::uint64_t number);
  void send(std::uint64_t number);
  void run(Change& one) const;
  static bool drop_what_is_buried(Change& one, const std::vector<BackupWritten>& results);
  void take(std::uint64_t number);
  Change end(std::uint64_t number);
  void finish(std::uint64_t number);
  void finish_alone(std::uint64_t number);

  FleetContext& c_;
  FleetShipper& shipper_;
  std::map<std::uint64_t, Change> under_way_;
  std::uint64_t last_ = 0;
};

}  // namespace stayd
