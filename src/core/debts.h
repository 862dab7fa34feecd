// Debts (R1b): rows whose current version Redis has not confirmed. While a key is here it is
// answered from the ledger, whatever Redis says. Loop thread only.
//
// Bounded: beyond kMaxDebts the table stops growing and says so (`complete()` false); the next
// reconcile then finds the debts by scanning the ledger for rows newer than the canary.
#pragma once

#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

#include "core/key_table.h"

namespace stayd {

inline constexpr std::size_t kLowestScan = 1024;
inline constexpr std::size_t kMaxDebts = 1
                                         << 17;  // about 20 MB; more than an outage usually touches

class Debts {
 public:
  bool empty() const { return by_key_.empty(); }
  std::size_t size() const { return by_key_.size(); }
  bool complete() const { return complete_; }
  bool has(std::string_view key) const { return !by_key_.empty() && by_key_.contains(key); }
  Hlc version(std::string_view key) const;
  bool is_own(std::string_view key) const;  // of a fleet: of our own making, at least in part

  // The row of `key` is now at `hlc` and Redis has not confirmed it.
  void add(const FullKey& key, Hlc hlc);
  // The same of another stayd's row, which S of this one says nothing of (docs/adr/0016).
  void add_foreign(const FullKey& key, Hlc hlc);
  // The same, of a row that may be at `hlc` still, or at a later version that the backup agrees to
  // or does not: a repair that began before `now` was made has not read it, and does not settle it.
  void add_agreed(const FullKey& key, Hlc hlc, Hlc now);
  // Redis has confirmed `hlc`. True when that settles the debt.
  bool settle(std::string_view key, Hlc hlc);
  void forget(std::string_view key) { by_key_.erase(key); }
  template <class Of>
  void forget_if(const Of& of) {
    extract_if(by_key_, of, [](const FullKey&, const Debt&) {});
  }
  // From the beginning of a scan of the ledger until its end the table does not know every debt.
  void mark_incomplete() { complete_ = false; }
  // How often a debt found no room: a scan behind which one was missed is not the last one.
  std::uint64_t overflows() const { return overflows_; }
  // The database has been flushed: nothing is owed for it any more. db -1: all.
  void forget_database(int db);
  // A scan of the ledger has found whatever the table could not hold.
  void mark_complete() { complete_ = true; }
  // The lowest version of our own owed; 0 when there is no debt, ~0 when all are foreign. Walks at
  // most kLowestScan entries: beyond that it answers the lowest ever owed since the table was last
  // empty, which is never too high.
  Hlc lowest() const;
  void clear();

  // Up to `limit` keys to pay next; each key is handed out once until `retry` puts it back.
  void take(std::size_t limit, std::vector<FullKey>& out);
  void retry(const FullKey& key);
  std::size_t unpaid() const { return queue_.size(); }

 private:
  struct Debt {
    Hlc hlc = 0;
    bool own = true;  // of our own making
    Hlc until = 0;    // it is settled by nothing below this one
  };
  void add(const FullKey& key, Debt debt);

  KeyMap<Debt> by_key_;
  std::deque<FullKey> queue_;
  bool complete_ = true;
  std::uint64_t overflows_ = 0;
  Hlc floor_ = 0;  // lowest version owed since the table was empty
};

}  // namespace stayd
