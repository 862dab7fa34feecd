// Mutations gathered into one RocksDB WriteBatch, each applied on top of the ones before it.
//
// The rule itself is session/apply.h; a batch hands it a *partial* row: the metadata, a string's
// bytes when they matter, and of a collection the touched elements plus one sentinel that stands
// for all the others. What apply() did to that row is then written. So the ledger has no rule of
// its own.
//
// Used by the ledger's thread only; borrows the database and the ledger's info.
#pragma once

#include <rocksdb/write_batch.h>

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "session/mutation.h"
#include "store/ledger/database.h"
#include "store/ledger/header_cache.h"
#include "store/ledger/rows.h"
#include "store/store.h"

namespace stayd {

class Batch {
 public:
  // `info.next_generation` and `info.highest_hlc` advance as mutations are applied. `headers`
  // answers in the database's place and is brought up to date by written().
  Batch(const Database& database, LedgerInfo& info, HeaderCache& headers)
      : database_(database), info_(info), headers_(headers) {}

  // Takes the record out of `mutation`; key, kind, hlc and tomb_until_ms stay, so that a tombstone
  // can be applied again. On an error (the row could not be read) nothing of it is in the batch.
  Result<ApplyResult> apply(Mutation& mutation, std::int64_t wall_ms);

  // Stores the row at `row_key` as values are stored now, whatever it was; nothing else changes.
  Result<void> repack(const std::string& row_key);

  // Whether apply() can read what it needs.
  Result<void> check(const Mutation& mutation);

  // True when `full_key`'s row was changed or looked at here: what the database says of it may be
  // old.
  bool touches(const FullKey& key) const { return rows_.contains(row_key(info_.spaces, key)); }

  std::size_t bytes() const { return write_.GetDataSize() + changed_bytes_; }
  bool empty() const { return write_.Count() == 0 && changed_.empty(); }
  // What is to be written. Ends the gathering: only clear() may follow, or more writes into it.
  rocksdb::WriteBatch& finish();
  // The database holds what is in here: rows that were changed or looked at go to the headers.
  void written();
  void clear();

 private:
  struct Partial {
    Row row;
    std::string sentinel;      // empty: every element is in `row`
    std::uint64_t others = 0;  // elements the sentinel stands for
  };

  // The payload is there only when `payload_known`.
  struct Known {
    StoredRow row;
    bool payload_known = false;
    bool changed = false;
  };
  using KnownRows = std::unordered_map<std::string, Known>;  // by row key
  using KnownRow = KnownRows::value_type;

  Result<KnownRow*> find(const std::string& key, bool payload);
  Result<Partial> partial(const std::string& key, const StoredRow& stored,
                          const Mutation& mutation);
  Result<std::optional<std::string>> element(const ElementCodec& codec,
                                             const std::string& element_key);
  void store(KnownRow& known, Partial& after, const Mutation& mutation);
  void put_row(const std::string& key, const StoredRow& row);
  void store_elements(const std::string& key, StoredRow& next, const StoredRow& before,
                      Partial& after, const Mutation& mutation);
  void put_collection(const ElementCodec& codec, const Record& record);
  void put_element(const ElementCodec& codec, std::string_view name, std::string value);
  // Gives `row` the form in which values are stored now.
  void set_form(StoredRow& row) const;
  bool has_form(const StoredRow& row) const;

  const Database& database_;
  LedgerInfo& info_;
  HeaderCache& headers_;
  rocksdb::WriteBatch write_;
  KnownRows rows_;
  std::vector<const KnownRow*> changed_;  // in `rows_`; written by finish()
  std::size_t changed_bytes_ = 0;
  std::unordered_map<std::string, std::optional<std::string>> elements_;
};

}  // namespace stayd
