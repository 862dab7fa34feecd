// Reading rows: one key, one collection, one page of a scan. Shared by the worker and the reader.
//
// Not thread-safe; borrows the database and the space table.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "session/record.h"
#include "store/ledger/database.h"
#include "store/ledger/element_codec.h"
#include "store/ledger/row_codec.h"
#include "store/store.h"

namespace stayd {

class Rows {
 public:
  Rows(const Database& database, const SpaceTable& spaces) : database_(database), spaces_(spaces) {}

  // A key without a row gives a StoredRow of state absent. `payload`: string bytes wanted too, as
  // they were before they were packed.
  Result<StoredRow> stored(std::string_view row_key, bool payload) const;
  // The value under `element_key`, one of `codec`'s; nullopt: no such element.
  Result<std::optional<std::string>> element(const ElementCodec& codec,
                                             const std::string& element_key) const;
  // corrupt: the elements found are not as many as the row says (I13).
  Result<Row> load(std::string_view full_key) const;
  // At most `kMaxVisited` rows are looked at for one page, so pages may be short of `limit`.
  Result<ScanPage> scan(const ScanQuery& query, std::int64_t wall_ms) const;

  static constexpr std::size_t kMaxVisited = 8'192;
  static constexpr std::size_t kMaxPage = 4'096;

  // Every element of a collection into `record`, which has its type.
  Result<void> read_elements(std::string_view row_key, const StoredRow& stored,
                             Record& record) const;

 private:
  // Appends what fits of one database; true: the page is full or the walk long enough.
  Result<bool> scan_database(const ScanQuery& query, int db, std::int64_t wall_ms,
                             std::size_t& visited, ScanPage& page) const;

  const Database& database_;
  const SpaceTable& spaces_;
};

// An empty value of `type`.
Record empty_record(ValueType type);
// Adds one element as stored to a collection of `type`.
Result<void> add_element(Record& record, ValueType type, std::string_view name,
                         std::string_view bytes);

}  // namespace stayd
