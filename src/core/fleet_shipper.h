// Takes what this stayd has written to the backup (B1 to B4), a batch at a time:
//
//   changed() ─▶ due ─▶ row read from the ledger ─▶ backup, on condition ─▶ ledger: shipped
//                                                      └─ another's row is there: judged
//
// Rows whose key is too long for the backup are left out; a batch that is too large for it is sent
// again in halves.
//
// Holds back the reports of logins and logouts until the backup has them, or for a while. Bounded:
// beyond max_unshipped keys it forgets which, and goes through the ledger again.
// Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/fleet.h"
#include "core/key_table.h"

namespace stayd {

// Rows under longer keys are the ledger's alone.
inline bool fits_backup(const FullKey& key) {
  return key.size() <= kMaxBackupKeyBytes;
}

class FleetShipper final : private StoreClient, private BackupClient {
 public:
  // What is told when the backup has the key, or could not be told in time: `shipped` false.
  using Told = std::function<void(bool shipped)>;
  // Reads the key from the backup into the ledger.
  using Look = std::function<void(const FullKey& key)>;

  FleetShipper(FleetContext& context, Look look) : c_(context), look_(std::move(look)) {}

  void start();  // goes through what the ledger has and the backup may not
  void on_tick();
  void submit();  // once a turn: what somebody waits for

  // The ledger's row has changed, and has version `hlc`, which may wait for so long.
  void changed(const FullKey& key, Hlc hlc, std::int64_t put_off_ms);
  // At once. `told` is called exactly once, later; after `wait_ms` at the latest. `logout`: a
  // client waits to be told that it is logged out.
  void ship_now(const FullKey& key, std::int64_t wait_ms, Told told, bool logout = false);
  // The feed has shown a row of the key that the ledger did not take. Did it come after what is on
  // its way to the backup now, no conflict will tell: the backup is asked once more.
  void look_again(const FullKey& key);
  // Something of the key may be unshipped.
  bool knows(std::string_view key) const { return keys_.contains(key); }
  // Another stayd's row is in its way, and it is not clear yet which counts.
  bool contested(std::string_view key) const {
    const auto at = keys_.find(key);
    return at != keys_.end() && at->second.judged_us != 0;
  }
  std::size_t unshipped() const { return keys_.size(); }
  struct Backlog {
    std::size_t put_off = 0;  // keys of which only expiry that was put off is unshipped
    Hlc oldest = 0;           // of the others, the lowest version that may be; 0: none
  };
  Backlog backlog() const;
  // Every version of ours up to this one is in the backup, but for expiry that was put off.
  Hlc shipped_to() const { return shipped_to(false); }

 private:
  struct Waiting {
    Told told;
    std::int64_t until_us = 0;
    bool logout = false;
  };
  struct Key {
    Hlc first = 0;         // the lowest version that may be unshipped
    bool touched = false;  // which is of expiry that was put off, and there is no other
    std::int64_t due_us = 0;
    bool under_way = false;
    bool again = false;          // changed since it was read
    bool look = false;           // the backup is asked once more
    std::int64_t judged_us = 0;  // since when a verdict is awaited; 0: none is
    Row row;                     // what is being shipped
    std::vector<Waiting> waiting;
  };
  struct Shipment {
    std::vector<FullKey> keys;
    std::size_t to_load = 0;
  };

  void on_applied(std::uint64_t tag, const Error& error, const ApplyResult&) override;
  void on_loaded(std::uint64_t tag, const Error& error, Row row) override;
  void on_scanned(std::uint64_t tag, const Error& error, ScanPage page) override;
  void on_written(std::uint64_t tag, const Error& error,
                  std::vector<BackupWritten> results) override;

  Hlc shipped_to(bool with_touches) const;
  Hlc shipped_to_saved() const;
  void scan();
  void gather();
  void send(std::uint64_t number);
  void halve(const Shipment& whole);
  static bool is_shipped(const RowMeta& row);
  static bool is_touch(const Row& row);
  BackupWrite write_of(const FullKey& key, const Row& row) const;
  void on_result(const FullKey& key, const BackupWritten& result);
  void settle(const FullKey& key, Version base);
  void record(const FullKey& key, Mutation mutation);
  void contest(const FullKey& key, const BackupRow& there);
  void ship_again_from(const FullKey& key, const RowMeta& theirs);
  void take_theirs(const FullKey& key, BackupRow there);
  void go_on_top(const FullKey& key, const BackupRow& there);
  void rebase(const FullKey& key, RowMeta ours, Version there);
  void put_off(const FullKey& key, std::int64_t ms);
  void done(const FullKey& key);
  void give_up_waiting();

  FleetContext& c_;
  const Look look_;
  KeyMap<Key> keys_;
  KeyMap<bool> waited_for_;                   // those of which somebody may wait to be told
  std::multimap<std::int64_t, FullKey> due_;  // may hold a key that is not due any more
  std::map<std::uint64_t, Shipment> shipments_;
  bool wanted_ = false;  // something is due at once
  std::uint64_t last_shipment_ = 0;
  std::map<std::uint64_t, FullKey> recorded_;  // in the ledger, by number: what came of a shipment
  std::uint64_t last_recorded_ = 0;
  std::uint64_t scan_ = 0;  // the last one's number
  bool scanning_ = false;
  bool scan_under_way_ = false;
  FullKey scanned_;
  RowState scanned_state_ = RowState::tomb;
  std::int64_t saved_us_ = 0;
};

}  // namespace stayd
