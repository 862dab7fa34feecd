// Looks into a ledger from outside, also while the server has it open: what was written when it was
// opened. Read-only, synchronous, for the command line. Not thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "store/ledger/ledger_options.h"
#include "store/store.h"

namespace stayd {

class Database;
struct LedgerInfo;

class LedgerReader {
 public:
  ~LedgerReader();

  // A key without a row gives a Row of state absent.
  Result<Row> get(std::string_view full_key) const;
  // Rows and elements by how they are stored, whatever key is there.
  struct AtRestStats {
    std::uint64_t live = 0;
    std::uint64_t tombs = 0;
    std::uint64_t unreadable = 0;                   // rows whose bytes are none
    std::uint64_t plain = 0;                        // values: strings, and elements of collections
    std::map<std::uint32_t, std::uint64_t> sealed;  // by data key
    std::string master_key;                         // as below
    bool resealing = false;                         // the walk over older values has not ended
  };
  Result<AtRestStats> at_rest_stats() const;
  // Which one wraps the key ring; empty: there is none, values are in clear.
  Result<std::string> master_key() const;

  // Every row, tombstones and expired ones included, by database and key. A row that cannot be read
  // is given as an error; `fn` returns false to stop.
  void for_each(const std::function<bool(const FullKey&, const Result<Row>&)>& fn) const;

  const std::map<std::string, std::string, std::less<>>& facts() const { return facts_; }
  Hlc highest_hlc() const;

 private:
  friend Result<std::unique_ptr<LedgerReader>> open_reader(const std::string&,
                                                           const AtRestOptions*);
  explicit LedgerReader(std::unique_ptr<Database> database, const LedgerInfo& info);

  std::unique_ptr<Database> database_;
  std::unique_ptr<LedgerInfo> info_;
  std::map<std::string, std::string, std::less<>> facts_;
};

// not_found: no ledger there; newer_format, corrupt, invalid: as Ledger::open. nullptr: values that
// are sealed are not asked for.
Result<std::unique_ptr<LedgerReader>> open_reader(const std::string& path,
                                                  const AtRestOptions* at_rest);

}  // namespace stayd
