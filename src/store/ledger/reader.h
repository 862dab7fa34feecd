// Looks into a ledger from outside, also while the server has it open: what was written when it was
// opened. Read-only, synchronous, for the command line. Not thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "store/store.h"

namespace stayd {

class Database;
struct LedgerInfo;

class LedgerReader {
 public:
  ~LedgerReader();

  // A key without a row gives a Row of state absent.
  Result<Row> get(std::string_view full_key) const;
  // Every row, tombstones and expired ones included, by database and key. A row that cannot be read
  // is given as an error; `fn` returns false to stop.
  void for_each(const std::function<bool(const FullKey&, const Result<Row>&)>& fn) const;

  const std::map<std::string, std::string, std::less<>>& facts() const { return facts_; }
  Hlc highest_hlc() const;

 private:
  friend Result<std::unique_ptr<LedgerReader>> open_reader(const std::string& path);
  explicit LedgerReader(std::unique_ptr<Database> database, const LedgerInfo& info);

  std::unique_ptr<Database> database_;
  std::unique_ptr<LedgerInfo> info_;
  std::map<std::string, std::string, std::less<>> facts_;
};

// not_found: no ledger there; newer_format, corrupt: as Ledger::open.
Result<std::unique_ptr<LedgerReader>> open_reader(const std::string& path);

}  // namespace stayd
