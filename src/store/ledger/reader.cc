#include "store/ledger/reader.h"

#include "store/ledger/at_rest.h"
#include "store/ledger/database.h"
#include "store/ledger/element_codec.h"
#include "store/ledger/folder.h"
#include "store/ledger/rows.h"

namespace stayd {
namespace {

// The server may delete a table file between our reading the list of files and opening them.
constexpr int kOpenAttempts = 5;

}  // namespace

LedgerReader::LedgerReader(std::unique_ptr<Database> database, const LedgerInfo& info)
    : database_(std::move(database)),
      info_(std::make_unique<LedgerInfo>(info)),
      facts_(database_->read_facts()) {}

LedgerReader::~LedgerReader() = default;

Hlc LedgerReader::highest_hlc() const {
  return info_->highest_hlc;
}

Result<Row> LedgerReader::get(std::string_view full_key) const {
  return Rows(*database_, info_->spaces).load(full_key);
}

void LedgerReader::for_each(
    const std::function<bool(const FullKey&, const Result<Row>&)>& fn) const {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(
      database_->db()->NewIterator(options, database_->meta()));
  for (int db = 0; db < kDatabases; ++db) {
    const std::string prefix = row_key(info_->spaces, full_key(db, ""));
    for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
      const std::string key = full_key(db, it->key().ToString().substr(1));
      if (!fn(key, get(key))) return;
    }
  }
}

Result<std::string> LedgerReader::master_key() const {
  const Result<std::string> ring = database_->read_key_ring();
  if (!ring) return ring.error();
  return KeyRing::master_of(*ring);
}

Result<LedgerReader::AtRestStats> LedgerReader::at_rest_stats() const {
  AtRestStats out;
  Result<std::string> master = master_key();
  if (!master) return master.error();
  out.master_key = std::move(*master);
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(
      database_->db()->NewIterator(options, database_->meta()));
  const std::unique_ptr<rocksdb::Iterator> elements(
      database_->db()->NewIterator(options, database_->elements()));
  const auto count = [&out](bool packed, const rocksdb::Slice& bytes) {
    const std::uint32_t key =
        packed ? ValueCodec::sealed_under({bytes.data(), bytes.size()}) : std::uint32_t{0};
    ++(key == 0 ? out.plain : out.sealed[key]);
  };
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    const Result<StoredRow> row = decode_row({it->value().data(), it->value().size()});
    if (!row) ++out.unreadable;
    if (row && row->meta.state == RowState::tomb) ++out.tombs;
    if (!row || row->meta.state != RowState::live) continue;
    ++out.live;
    if (!is_collection(row->meta.type)) {
      if (row->meta.type != ValueType::none) count(row->packed, row->payload);
      continue;
    }
    const std::string prefix = element_prefix(it->key().ToString(), row->generation);
    for (elements->Seek(prefix); elements->Valid() && elements->key().starts_with(prefix);
         elements->Next()) {
      count(row->packed && row->hashed, elements->value());
    }
  }
  if (!it->status().ok()) return to_error(it->status(), "cannot read rows");
  if (!elements->status().ok()) return to_error(elements->status(), "cannot read elements");
  out.resealing = !out.master_key.empty() && !facts_.contains(kSealedFact);
  return out;
}

Result<std::unique_ptr<LedgerReader>> open_reader(const std::string& path,
                                                  const AtRestOptions* at_rest) {
  const Result<void> checked = Folder::check(path);
  if (!checked) return checked.error();
  LedgerOptions options;
  options.path = path;
  options.wall_ms = [] { return std::int64_t{0}; };
  Error last;
  for (int i = 0; i < kOpenAttempts; ++i) {
    Result<std::unique_ptr<Database>> database =
        Database::open(options, path + "/db", Database::Mode::read_only);
    if (!database) {
      last = database.error();
      continue;
    }
    const Result<LedgerInfo> info = (*database)->read_info();
    if (!info) return info.error();
    if (at_rest != nullptr) {
      const Result<void> unlocked = set_up_to_read(**database, path, *at_rest);
      if (!unlocked) return unlocked.error();
    }
    return std::unique_ptr<LedgerReader>(new LedgerReader(std::move(*database), *info));
  }
  return last;
}

}  // namespace stayd
